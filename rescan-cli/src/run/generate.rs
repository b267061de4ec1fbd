//! `rescan generate`: the man pages and shell completions, made from the definition of the command line, so that they
//! cannot say anything else. For those who package the command; not in the help.

use std::io;
use std::path::Path;

use clap_complete::Shell;

use crate::args::{GenerateArgs, command};
use crate::error::{CliError, Exit};

/// For which shells.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

pub(super) fn run(args: &GenerateArgs) -> Result<Exit, CliError> {
    write(&args.directory)
        .map_err(|error| CliError::system(&format!("cannot write into {}", args.directory.display()), &error))?;
    Ok(Exit::Complete)
}

fn write(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command(), directory)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut shown(), "rescan", directory)?;
    }
    Ok(())
}

/// What completions are for: what the help shows.
fn shown() -> clap::Command {
    let whole = command();
    clap::Command::new("rescan").subcommands(whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(directory.path()).expect("it can be written into");
        directory
    }

    fn read(directory: &tempfile::TempDir, name: &str) -> String {
        let text = std::fs::read_to_string(directory.path().join(name)).expect(name);
        // A man page has its hyphens escaped.
        text.replace('\\', "")
    }

    #[test]
    fn each_subcommand_has_a_page_that_names_all_its_options() {
        let directory = generated();
        let contents = read(&directory, "rescan.1");
        let mut options = 0;
        for subcommand in command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = format!("rescan-{}", subcommand.get_name());
            assert!(contents.contains(&format!("{name}(1)")), "{name} is not in {contents}");
            let page = read(&directory, &format!("{name}.1"));
            for option in subcommand.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&format!("--{option}")), "--{option} is not in {name}.1");
                options += 1;
            }
        }
        assert!(options > 30, "{options} is not all");
    }

    #[test]
    fn the_completions_of_each_shell_name_every_subcommand_and_option() {
        let directory = generated();
        for name in ["rescan.bash", "_rescan", "rescan.fish"] {
            let text = read(&directory, name);
            assert!(!text.contains("generate"), "what the help does not show is in {name}");
            for subcommand in command().get_subcommands().filter(|command| !command.is_hide_set()) {
                assert!(text.contains(subcommand.get_name()), "{} is not in {name}", subcommand.get_name());
                for option in subcommand.get_arguments().filter_map(clap::Arg::get_long) {
                    let found = text.contains(&format!("--{option}")) || text.contains(&format!("-l {option}"));
                    assert!(found, "--{option} is not in {name}");
                }
            }
        }
    }

    #[test]
    fn what_the_help_does_not_show_has_no_page() {
        let directory = generated();
        assert!(!directory.path().join("rescan-generate.1").exists());
        assert!(!read(&directory, "rescan.1").contains("generate"));
    }
}
