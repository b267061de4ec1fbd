//! Writes the seeds of each fuzz target to a directory under the one given as argument, as `cargo
//! fuzz` expects in `fuzz/corpus`.

use std::path::PathBuf;
use std::{env, fs, io};

use rescan_fuzz_surfaces::seeds::SURFACES;

fn main() -> io::Result<()> {
    let corpus = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| "fuzz/corpus".into()));
    for surface in SURFACES {
        let folder = corpus.join(surface.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (surface.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}
