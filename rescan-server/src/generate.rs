//! The man page and shell completions of `rescan-server`, generated from the definition of its command line.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;

/// The shells with completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes all files into a directory, which is created if missing.
#[must_use]
pub fn write(directory: &Path) -> ExitCode {
    match try_write(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "for packagers; nothing is logged here")]
            {
                eprintln!("error: cannot write into {}: {error}", directory.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn try_write(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Args::command(), directory)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut visible_command(), "rescan-server", directory)?;
    }
    Ok(())
}

/// The command with the options that the help shows.
fn visible_command() -> clap::Command {
    let whole = Args::command();
    clap::Command::new("rescan-server").args(whole.get_arguments().filter(|argument| !argument.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_man_page_and_in_the_completions_of_each_shell() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        try_write(directory.path()).expect("it can be written into");
        let mut options = 0;
        for name in ["rescan-server.1", "rescan-server.bash", "_rescan-server", "rescan-server.fish"] {
            let text = std::fs::read_to_string(directory.path().join(name)).expect(name);
            // A man page escapes hyphens, and fish names options without them.
            let text = text.replace('\\', "");
            assert!(!text.contains("generate"), "{name} has a hidden option");
            for option in Args::command().get_arguments().filter(|argument| !argument.is_hide_set()) {
                let long = option.get_long().expect("each option has a long name");
                let found = text.contains(&format!("--{long}")) || text.contains(&format!("-l {long}"));
                assert!(found, "--{long} is not in {name}");
                options += 1;
            }
        }
        assert!(options >= 4 * 10, "only {options} options");
    }
}
