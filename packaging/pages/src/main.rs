//! Writes the man pages and shell completions of both programs into a folder, from the definitions of their command
//! lines. A separate program: the two that are packaged do without the code for it.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

#[expect(clippy::print_stderr, reason = "messages to the person who packages")]
fn main() -> ExitCode {
    let [directory] = &std::env::args_os().skip(1).collect::<Vec<_>>()[..] else {
        eprintln!("usage: rescan-packaging DIR");
        return ExitCode::from(2);
    };
    let directory = Path::new(directory);
    match programs().into_iter().try_for_each(|(name, command)| write(name, command, directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write into {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

/// The programs, each with the definition of its command line.
fn programs() -> [(&'static str, Command); 2] {
    [("rescan", rescan_cli::command()), ("rescan-server", rescan_server::args::Args::command())]
}

/// Writes the pages and completions of one program into `directory`, which is created if missing.
fn write(name: &'static str, command: Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // Completions leave out --version.
    let mut completed =
        Command::new(name).subcommands(command.get_subcommands().cloned()).args(command.get_arguments().cloned());
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut completed, name, directory)?;
    }
    clap_mangen::generate_to(command, directory)
}

#[cfg(test)]
mod tests {
    use clap::Arg;
    use tempfile::TempDir;

    use super::*;

    fn written() -> TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, command) in programs() {
            write(name, command, directory.path()).expect("it is writable");
        }
        directory
    }

    fn read(directory: &TempDir, name: &str) -> String {
        let text = std::fs::read_to_string(directory.path().join(name)).expect(name);
        // A man page has its hyphens escaped.
        text.replace('\\', "")
    }

    /// Each page with the command that it is about: a program, or a subcommand.
    fn pages() -> Vec<(String, Command)> {
        let mut pages = Vec::new();
        for (name, command) in programs() {
            let subcommands = command.get_subcommands();
            pages.extend(subcommands.map(|it| (format!("{name}-{}", it.get_name()), it.clone())));
            pages.push((name.to_owned(), command));
        }
        pages
    }

    fn options(command: &Command) -> Vec<&str> {
        command.get_arguments().filter_map(Arg::get_long).collect()
    }

    #[test]
    fn each_program_and_subcommand_has_a_page_that_names_all_its_options() {
        let directory = written();
        let mut count = 0;
        for (name, command) in pages() {
            let page = read(&directory, &format!("{name}.1"));
            for option in options(&command) {
                assert!(page.contains(&format!("--{option}")), "--{option} is not in {name}.1");
                count += 1;
            }
            for subcommand in command.get_subcommands() {
                let other = format!("{name}-{}(1)", subcommand.get_name());
                assert!(page.contains(&other), "{other} is not in {name}.1");
            }
        }
        assert!(count > 40, "only {count} options");
    }

    #[test]
    fn the_completions_of_each_shell_name_every_subcommand_and_option() {
        let directory = written();
        for (program, command) in programs() {
            for name in [format!("{program}.bash"), format!("_{program}"), format!("{program}.fish")] {
                let text = read(&directory, &name);
                for subcommand in command.get_subcommands().map(Command::get_name) {
                    assert!(text.contains(subcommand), "{subcommand} is not in {name}");
                }
                let all = command.get_subcommands().flat_map(options).chain(options(&command));
                for option in all {
                    // Fish names options without hyphens.
                    let found = text.contains(&format!("--{option}")) || text.contains(&format!("-l {option}"));
                    assert!(found, "--{option} is not in {name}");
                }
            }
        }
    }
}
