//! The report of a load: the promises kept and broken, as a table for people and as JSON.

use std::fmt::{self, Write};
use std::time::Duration;

use super::{Behaviour, KEEPS_BYTES_MAX, Sample, Scans, Tally};

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed of all randomness.
    pub seed: u64,
    /// How long it went on.
    pub time: Duration,
    /// The well-behaved wallet, with the server for itself.
    pub alone: Scans,
    /// The same, beside the others.
    pub beside: Scans,
    /// The others.
    pub tallies: Vec<(Behaviour, Tally)>,
    /// The process before they came.
    pub before: Sample,
    /// The most that it had.
    pub most: Sample,
    /// The process after they left.
    pub after: Sample,
    /// The most memory that it may have, in bytes.
    pub bound: u64,
}

/// One thing that was measured.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The promise.
    pub name: &'static str,
    /// Before, at the most, afterwards.
    pub values: [u64; 3],
}

impl Sample {
    /// Whether usage is no higher than before; for memory, the allocator's caches are allowed for.
    #[must_use]
    pub fn is_back_at(&self, before: &Self) -> bool {
        self.not_back_at(before).is_empty()
    }

    fn not_back_at(&self, before: &Self) -> Vec<String> {
        let mut more = Vec::new();
        let mut compare = |name: &str, after: u64, before: u64, allowed: u64| {
            if after > before.saturating_add(allowed) {
                more.push(format!("{name}: {after} afterwards, {before} before, {allowed} more allowed"));
            }
        };
        compare("memory", self.anonymous_bytes, before.anonymous_bytes, KEEPS_BYTES_MAX);
        // A thread for blocking calls may be about to end.
        compare("threads", self.threads, before.threads, 1);
        compare("descriptors", self.descriptors, before.descriptors, 0);
        compare("maps of files", self.file_maps, before.file_maps, 0);
        // Each thread has a stack and its guard, and the allocator divides its memory into arenas.
        compare("maps", self.maps, before.maps, 32);
        more
    }
}

impl Report {
    /// The promises that were broken, if any.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let of = |who: &str, what: &[String]| what.iter().map(|what| format!("{who}: {what}")).collect::<Vec<_>>();
        broken.extend(of("the wallet alone", &self.alone.broken));
        broken.extend(of("the wallet beside the others", &self.beside.broken));
        for (behaviour, tally) in &self.tallies {
            broken.extend(of(behaviour.name(), &tally.broken));
        }
        if self.most.anonymous_bytes > self.bound {
            broken.push(format!("memory: {} bytes, at most {} are promised", self.most.anonymous_bytes, self.bound));
        }
        broken.extend(self.after.not_back_at(&self.before));
        broken
    }

    /// The process's resources.
    #[must_use]
    pub fn rows(&self) -> [Row; 5] {
        let row =
            |name, of: fn(&Sample) -> u64| Row { name, values: [of(&self.before), of(&self.most), of(&self.after)] };
        [
            row("anonymous_bytes", |it| it.anonymous_bytes),
            row("threads", |it| it.threads),
            row("descriptors", |it| it.descriptors),
            row("maps", |it| it.maps),
            row("file_maps", |it| it.file_maps),
        ]
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let scans = |scans: &Scans| {
            let (median, longest) = (scans.median().as_millis(), scans.longest().as_millis());
            format!(r#"{{"scans":{},"median_ms":{median},"longest_ms":{longest}}}"#, scans.durations.len())
        };
        let tallies =
            self.tallies.iter().map(|(behaviour, tally)| format!(r#""{}":{}"#, behaviour.name(), tally.times));
        let rows = self.rows().map(|Row { name, values: [before, most, after] }| {
            format!(r#""{name}":{{"before":{before},"most":{most},"after":{after}}}"#)
        });
        // Rust's escapes are JSON's for all that these texts have in them.
        let broken: Vec<String> = self.broken().iter().map(|what| format!("{what:?}")).collect();
        format!(
            r#"{{"seed":{},"seconds":{},"alone":{},"beside":{},"times":{{{}}},{},"bound_bytes":{},"broken":[{}]}}"#,
            self.seed,
            self.time.as_secs(),
            scans(&self.alone),
            scans(&self.beside),
            tallies.collect::<Vec<_>>().join(","),
            rows.join(","),
            self.bound,
            broken.join(",")
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} s", self.seed, self.time.as_secs())?;
        for (name, scans) in [("wallet alone", &self.alone), ("wallet beside the others", &self.beside)] {
            let (median, longest) = (scans.median().as_millis(), scans.longest().as_millis());
            writeln!(f, "{name:<26}{:>10} scans, median {median} ms, longest {longest} ms", scans.durations.len())?;
        }
        for (behaviour, tally) in &self.tallies {
            let skipped = tally.skipped.as_ref().map_or_else(String::new, |why| format!(", SKIPPED: {why}"));
            writeln!(f, "{:<26}{:>10} times{skipped}", behaviour.name(), tally.times)?;
        }
        writeln!(f, "{:<26}{:>14}{:>14}{:>14}", "the server", "before", "most", "after")?;
        for Row { name, values: [before, most, after] } in self.rows() {
            writeln!(f, "{name:<26}{before:>14}{most:>14}{after:>14}")?;
        }
        writeln!(f, "{:<26}{:>28}", "bound of its memory", self.bound)?;
        let broken = self.broken();
        if broken.is_empty() {
            return f.write_str("every promise was kept\n");
        }
        broken.iter().try_for_each(|what| writeln!(f, "BROKEN: {what}"))?;
        f.write_char('\n')
    }
}
