//! The three files of a report.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::{ReportError, write};
use super::Comparison;
use super::example::{full, scant};

#[test]
fn a_report_is_three_files_in_a_folder_that_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("a/b");
    let written = write(&full(), &folder).unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["index.html", "report.json", "report.md"]);
    for path in [written.page, written.json, written.markdown] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((path.parent(), mode & 0o400), (Some(folder.as_path()), 0o400));
    }
}

#[test]
fn report_json_is_the_comparison_itself() {
    let directory = tempfile::tempdir().unwrap();
    for comparison in [full(), scant()] {
        let written = write(&comparison, directory.path()).unwrap();
        let text = fs::read_to_string(written.json).unwrap();
        let read: Comparison = serde_json::from_str(&text).unwrap();
        assert_eq!(read, comparison);
        assert!(text.contains("\n  \"format\": 1,\n") && text.ends_with("}\n"));
    }
}

#[test]
fn a_report_takes_the_place_of_an_older_one_and_leaves_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    write(&full(), directory.path()).unwrap();
    let written = write(&scant(), directory.path()).unwrap();
    assert!(fs::read_to_string(written.markdown).unwrap().contains("Nothing matched"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn a_report_that_cannot_be_written_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let error = write(&full(), &directory.path().join("file/report")).unwrap_err();
    assert!(matches!(error, ReportError::Folder { .. }), "{error}");
    // A folder stands where a file should.
    fs::create_dir_all(directory.path().join("report/report.json/x")).unwrap();
    let error = write(&full(), &directory.path().join("report")).unwrap_err();
    assert!(error.to_string().contains("report/report.json: check space"), "{error}");
    assert_eq!(fs::read_dir(directory.path().join("report")).unwrap().count(), 1);
}
