//! The files of a report. Each is written beside its place and renamed into it, and none is renamed before all are
//! written: a full disk leaves the older report as it was.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::page::page;
use super::{Comparison, markdown};

/// Whoever the umask lets; a report names no script, key or descriptor.
const MODE: u32 = 0o666;

/// Where a report lies.
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

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder is not there, and could not be made.
    #[error("the folder {} for the report could not be made; name one that you may write to", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file could not be written; what was there before is there still.
    #[error("the report could not be written to {}; is there space, and may you write there?", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Writes the report into `folder`, which is made if it is not there, in place of an older one.
///
/// # Errors
///
/// [`ReportError`] tells which folder or file the operating system refused.
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

/// The comparison as `report.json` has it.
fn json(comparison: &Comparison) -> String {
    let mut text = serde_json::to_string_pretty(comparison).expect("names and numbers always serialise");
    text.push('\n');
    text
}

/// A whole file in the same folder, since only there a rename is one step.
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
