//! Rounds of runs: methods take turns, which spreads a disturbance of the machine over all of them.

use std::num::NonZeroU32;

use crate::answer::Answer;
use crate::comparison::{MethodReport, MethodResult};
use crate::error::CompareError;
use crate::methods::{MethodRun, Outcome};
use crate::request::Step;

/// The number of runs of each method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// After one to warm up, which is not counted.
    pub(crate) counted: NonZeroU32,
}

/// The reports of some methods, and the answer of them all.
pub(crate) struct Measured {
    pub(crate) methods: Vec<MethodReport>,
    pub(crate) answer: Answer,
}

impl Rounds {
    pub(crate) fn run_count(self, methods: usize) -> u64 {
        (u64::from(self.counted.get()) + 1).saturating_mul(methods as u64) // usize is at most 64 bits
    }

    /// Runs all of these methods. The first one's answer is the one that the others' must equal.
    pub(crate) async fn run(
        self,
        methods: &[MethodRun<'_>],
        subject: &str,
        steps: &mut Steps<'_>,
    ) -> Result<Measured, CompareError> {
        let mut results: Vec<(MethodRun<'_>, MethodResult)> =
            methods.iter().map(|method| (*method, MethodResult::Measured(Vec::new()))).collect();
        let mut expected: Option<Answer> = None;
        for round in 0..=self.counted.get() {
            for (method, result) in &mut results {
                let MethodResult::Measured(runs) = result else { continue };
                let title = method.method().title();
                steps.next(match round {
                    0 => format!("{subject}: {title}, to warm up"),
                    _ => format!("{subject}: {title}, {round} of {}", self.counted),
                });
                let (run, answer) = match method.run().await? {
                    Outcome::Answered(run, answer) => (run, answer),
                    Outcome::LeftOut(reason) => {
                        *result = MethodResult::LeftOut(reason);
                        continue;
                    }
                };
                match &expected {
                    Some(expected) => answer.agrees_with(expected, title)?,
                    None => expected = Some(answer),
                }
                if round > 0 {
                    runs.push(run);
                }
            }
        }
        let methods = results.into_iter().map(|(run, result)| MethodReport::new(run.method(), result)).collect();
        Ok(Measured { methods, answer: expected.unwrap_or_default() })
    }
}

/// Announces each run before it is made.
pub(crate) struct Steps<'s> {
    announce: &'s mut dyn FnMut(&Step),
    done: u64,
    total: u64,
}

impl<'s> Steps<'s> {
    pub(crate) fn new(announce: &'s mut dyn FnMut(&Step), total: u64) -> Self {
        Self { announce, done: 0, total }
    }

    pub(crate) fn next(&mut self, doing: String) {
        (self.announce)(&Step { done: self.done, total: self.total, doing });
        self.done = self.done.saturating_add(1);
    }

    /// Announces more of the step that began last.
    pub(crate) fn detail(&mut self, doing: String) {
        (self.announce)(&Step { done: self.done.saturating_sub(1), total: self.total, doing });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_about_a_step_is_no_further_step() {
        let mut announced = Vec::new();
        let mut announce = |step: &Step| announced.push((step.done, step.doing.clone()));
        let mut steps = Steps::new(&mut announce, 2);
        steps.next("a".to_owned());
        steps.detail("a, half of it".to_owned());
        steps.next("b".to_owned());
        let expected = [(0, "a"), (0, "a, half of it"), (1, "b")].map(|(done, doing)| (done, doing.to_owned()));
        assert_eq!(announced, expected);
    }
}
