//! An error with its causes on one line, for logs, messages and people.

use std::error::Error;

/// `error` and its causes in turn, separated by colons.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    std::iter::successors(error.source(), |&cause| cause.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Step {
        said: &'static str,
        source: Option<Box<Step>>,
    }

    #[test]
    fn every_cause_appears_once_and_in_order() {
        let disk = Step { said: "no space", source: None };
        let file = Step { said: "cannot write", source: Some(Box::new(disk)) };
        assert_eq!(
            with_causes(&Step { said: "cannot save", source: Some(Box::new(file)) }),
            "cannot save: cannot write: no space"
        );
    }
}
