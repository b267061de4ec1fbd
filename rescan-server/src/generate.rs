//! The man page and shell completions of `rescan-server`, made from the definition of its command line, so that they
//! cannot say anything else.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;

/// For which shells.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes them into a folder, which is made where it is missing.
#[must_use]
pub fn write(directory: &Path) -> ExitCode {
    match try_write(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "said to who packages the command, where nothing is logged")]
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
        clap_complete::generate_to(shell, &mut shown(), "rescan-server", directory)?;
    }
    Ok(())
}

/// What completions are for: what the help shows.
fn shown() -> clap::Command {
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
            // A man page has its hyphens escaped, and fish names options without them.
            let text = text.replace('\\', "");
            assert!(!text.contains("generate"), "what the help does not show is in {name}");
            for option in Args::command().get_arguments().filter(|argument| !argument.is_hide_set()) {
                let long = option.get_long().expect("each option has a long name");
                let found = text.contains(&format!("--{long}")) || text.contains(&format!("-l {long}"));
                assert!(found, "--{long} is not in {name}");
                options += 1;
            }
        }
        assert!(options >= 4 * 10, "{options} is not all");
    }
}
