//! `cargo xtask packaging --out DIR`: the files of a package beside the two programs. The crate
//! `rescan-packaging` writes man pages and completions from the definitions of the command lines.
//! None of them is committed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace_root;

const UNIT: &str = "packaging/systemd/rescan-server.service";

/// Writes `man/`, `completions/` and `systemd/` into `out`.
pub(crate) fn write(out: &Path) -> Result<String> {
    let root = workspace_root()?;
    let fresh = tempdir(out)?;
    write_pages(&root, &fresh)?;
    let mut counts = [0, 0];
    for entry in std::fs::read_dir(&fresh)? {
        let path = entry?.path();
        let is_page = path.extension().is_some_and(|extension| extension == "1");
        let (folder, count) = if is_page { ("man", &mut counts[0]) } else { ("completions", &mut counts[1]) };
        move_into(&path, &out.join(folder))?;
        *count += 1;
    }
    std::fs::remove_dir(&fresh)?;
    copy_into(&root.join(UNIT), &out.join("systemd"))?;
    let [pages, completions] = counts;
    Ok(format!("wrote {pages} man pages, {completions} completions and the unit into {}", out.display()))
}

/// A new folder below `out`.
fn tempdir(out: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    // Absolute: the other program runs at the workspace's root.
    let fresh = out.canonicalize()?.join(format!(".generated-{}", std::process::id()));
    std::fs::create_dir(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    Ok(fresh)
}

fn write_pages(root: &Path, into: &Path) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--package", "rescan-packaging", "--"])
        .arg(into)
        .current_dir(root)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("rescan-packaging did not write its pages: {status}");
    }
    Ok(())
}

fn move_into(file: &Path, folder: &Path) -> Result<()> {
    copy_into(file, folder)?;
    std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
}

fn copy_into(file: &Path, folder: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::copy(file, folder.join(name)).with_context(|| format!("cannot write into {}", folder.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> String {
        let path = workspace_root().expect("the workspace").join(UNIT);
        std::fs::read_to_string(path).expect("the unit is there")
    }

    /// The values of a key, in the order of its lines.
    fn values<'a>(unit: &'a str, section: &str, key: &str) -> Vec<&'a str> {
        let mut here = false;
        let mut found = Vec::new();
        for line in unit.lines() {
            if line.starts_with('[') {
                here = line == format!("[{section}]");
            } else if here
                && let Some((name, value)) = line.split_once('=')
                && name == key
            {
                found.push(value);
            }
        }
        found
    }

    #[test]
    fn the_unit_makes_the_promises_that_security_md_names() {
        let unit = unit();
        for (key, value) in [
            ("Type", "notify"),
            ("Restart", "always"),
            ("User", "bitcoin"),
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("PrivateNetwork", "yes"),
            ("RestrictAddressFamilies", "AF_UNIX"),
            ("MemoryMax", "2G"),
            ("MemoryDenyWriteExecute", "yes"),
            ("CapabilityBoundingSet", ""),
            ("LockPersonality", "yes"),
            ("LimitCORE", "0"),
            ("RuntimeDirectoryMode", "0700"),
            ("StateDirectoryMode", "0700"),
            ("SystemCallArchitectures", "native"),
        ] {
            assert_eq!(values(&unit, "Service", key), [value], "{key}");
        }
        assert_eq!(values(&unit, "Service", "SystemCallFilter")[0], "@system-service");
        assert_eq!(values(&unit, "Unit", "PartOf"), ["bitcoind.service"]);
        assert_eq!(values(&unit, "Unit", "After"), ["bitcoind.service"]);
    }

    #[test]
    fn the_unit_can_write_only_to_the_paths_of_its_command() {
        let unit = unit();
        assert!(values(&unit, "Service", "ReadWritePaths").is_empty());
        let command = values(&unit, "Service", "ExecStart")[0];
        let word_after = |option: &str| command.split(' ').skip_while(|word| *word != option).nth(1).expect(option);
        let [runtime] = values(&unit, "Service", "RuntimeDirectory")[..] else { panic!("one directory") };
        let [state] = values(&unit, "Service", "StateDirectory")[..] else { panic!("one directory") };
        assert_eq!(Path::new(word_after("--socket")).parent(), Some(Path::new("/run").join(runtime).as_path()));
        assert_eq!(Path::new(word_after("--state-dir")), Path::new("/var/lib").join(state));
        assert_eq!(values(&unit, "Service", "ReadOnlyPaths"), [word_after("--datadir")]);
    }

    #[test]
    fn systemd_finds_nothing_wrong_with_the_unit() {
        let directory = std::env::temp_dir().join(format!("rescan-unit-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let program = std::env::current_exe().expect("this program");
        // Neither the program nor the node need be installed on the machine of the test.
        let unit = unit().replace("/usr/bin/rescan-server", &program.display().to_string());
        let path = directory.join("rescan-server.service");
        std::fs::write(&path, unit).expect("it is written");
        let node = format!("[Service]\nExecStart={}\n", program.display());
        std::fs::write(directory.join("bitcoind.service"), node).expect("it is written");
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", directory.display()))
            .output();
        std::fs::remove_dir_all(&directory).expect("it can be removed");
        let messages = match &verified {
            Ok(verified) => {
                let messages = String::from_utf8_lossy(&verified.stderr).into_owned();
                assert!(verified.status.success(), "{messages}");
                messages
            }
            Err(_there_is_no_systemd) => String::new(),
        };
        // Messages about other units of this machine do not matter.
        assert!(!messages.contains("rescan-server.service"), "{messages}");
    }
}
