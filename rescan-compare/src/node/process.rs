//! The node's process, from the file that the node wrote beside its cookie.

use std::fs;
use std::path::Path;

use procfs::process::Process;

/// Bitcoin Core's file with its process's number, unless `-pid` names another
/// (`BITCOIN_PID_FILENAME`, `src/init.cpp`). It lies in the network's folder, as the cookie does.
const PID_FILE: &str = "bitcoind.pid";

/// The number of the node's process. None without such a file, or if no process of a node has that
/// number: the file may outlive a node that crashed, and its number be another process's by now.
pub(super) fn pid_beside(cookie: &Path) -> Option<u32> {
    let pid: i32 = fs::read_to_string(cookie.with_file_name(PID_FILE)).ok()?.trim().parse().ok()?;
    let name = Process::new(pid).ok()?.exe().ok()?;
    let is_node = name.file_name()?.to_string_lossy().starts_with("bitcoin");
    u32::try_from(pid).ok().filter(|_| is_node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_another_process_is_not_taken_for_the_nodes() {
        let folder = tempfile::tempdir().expect("a folder");
        let cookie = folder.path().join(".cookie");
        assert_eq!(pid_beside(&cookie), None, "there is no file");
        for said in [std::process::id().to_string(), "2147483647\n".to_owned(), "0".to_owned(), "node".to_owned()] {
            fs::write(folder.path().join(PID_FILE), &said).expect("it is written");
            assert_eq!(pid_beside(&cookie), None, "{said}");
        }
    }
}
