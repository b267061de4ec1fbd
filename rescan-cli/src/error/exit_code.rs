//! Exit codes of the command.

use std::process::ExitCode;

use rescan_client::report::Outcome;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Complete,
    /// Something is broken, or could not be reached.
    Failed,
    /// The request is impossible.
    Usage,
    /// Ended early, with a summary that names the outcome.
    Incomplete,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// The list for `--help`.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
  0    complete; or the reader of the output has closed it
  1    failed
  2    wrong usage, or a request that the server refused
  3    ended without completing: cancelled, pruned or reorganised; fill: the wallet differs
  130  Ctrl-C or SIGTERM; a scan still prints its summary (a second signal does not wait)";

impl Exit {
    /// The number for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Interrupted => 130,
        }
    }

    /// The exit code for an outcome without Ctrl-C.
    pub(crate) fn of_outcome(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Complete => Self::Complete,
            Outcome::Cancelled | Outcome::PrunedBelow(_) | Outcome::ReorganisedFrom(_) => Self::Incomplete,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use rescan_client::position::Height;

    use super::*;

    const ALL: [Exit; 5] = [Exit::Complete, Exit::Failed, Exit::Usage, Exit::Incomplete, Exit::Interrupted];

    #[test]
    fn the_codes_are_those_of_the_contract() {
        assert_eq!(ALL.map(Exit::code), [0, 1, 2, 3, 130]);
    }

    #[test]
    fn the_help_names_every_code() {
        for exit in ALL {
            let start = format!("  {} ", exit.code());
            assert!(EXIT_CODES_HELP.lines().any(|line| line.starts_with(&start)), "{start:?} is missing");
        }
    }

    #[test]
    fn only_a_complete_outcome_is_success() {
        assert_eq!(Exit::of_outcome(&Outcome::Complete), Exit::Complete);
        for outcome in [Outcome::Cancelled, Outcome::PrunedBelow(Height(3)), Outcome::ReorganisedFrom(Height(3))] {
            assert_eq!(Exit::of_outcome(&outcome), Exit::Incomplete);
        }
    }
}
