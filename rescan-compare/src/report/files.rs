//! The files of a report. Each is written to a temporary file beside its path, and renamed after
//! all are written: a full disk leaves an older report unchanged.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::page::page;
use super::{Comparison, markdown};

/// Limited by the umask alone: a report names no script, key or descriptor.
const MODE: u32 = 0o666;

/// The paths of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenReport {
    /// The page.
    pub page: PathBuf,
    /// The [`Comparison`] itself, as JSON.
    pub json: PathBuf,
    /// Markdown to paste into an issue.
    pub markdown: PathBuf,
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder could not be created.
    #[error("cannot create the folder {} for the report: name one with write permission", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file could not be written; an older one is unchanged.
    #[error("cannot write the report to {}: check space and permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Writes the report into `folder`, which is created if missing, and replaces an older one.
///
/// # Errors
/// [`ReportError`] with the folder or file that the operating system refused.
pub fn write(comparison: &Comparison, folder: &Path) -> Result<WrittenReport, ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Folder { path: folder.to_owned(), source })?;
    let report = WrittenReport {
        page: folder.join("index.html"),
        json: folder.join("report.json"),
        markdown: folder.join("report.md"),
    };
    let contents =
        [(&report.json, json(comparison)), (&report.markdown, markdown(comparison)), (&report.page, page(comparison))];
    let written = contents.into_iter().map(|(path, content)| Ok((path, beside(folder, path, content.as_bytes())?)));
    for (path, file) in written.collect::<Result<Vec<_>, ReportError>>()? {
        file.persist(path).map_err(|error| ReportError::File { path: path.clone(), source: error.error })?;
    }
    Ok(report)
}

/// The content of `report.json`.
fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("names and numbers always serialise");
    text.push('\n');
    text
}

/// A temporary file in the same folder: a rename is atomic there alone.
fn beside(folder: &Path, path: &Path, content: &[u8]) -> Result<NamedTempFile, ReportError> {
    let write = || -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix(".rescan-report-")
            .permissions(Permissions::from_mode(MODE))
            .tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(|source| ReportError::File { path: path.to_owned(), source })
}
