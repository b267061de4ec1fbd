//! Chores of the workspace. `cargo xtask codegen` makes the Rust code of `rescan-core/schema/rescan.capnp` anew;
//! `cargo xtask codegen --check` fails where the committed code is not what the schema gives; `cargo xtask packaging --out
//! DIR` writes what a package has beside the programs.

mod packaging;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

const SCHEMA_DIR: &str = "rescan-core/schema";
const SCHEMA_FILE: &str = "rescan-core/schema/rescan.capnp";
const GENERATED_DIR: &str = "rescan-core/src";
const GENERATED_NAME: &str = "rescan_capnp.rs";
/// The line of the generated file that names the compiler it came from.
const VERSION_MARK: &str = "// capnp binary version:";

#[expect(clippy::print_stderr, reason = "a chore speaks to the person who runs it")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["codegen"] => codegen(),
        ["codegen", "--check"] => check(),
        ["packaging", "--out", directory] => packaging::write(Path::new(directory)),
        _ => Err(anyhow::anyhow!("usage: cargo xtask codegen [--check] | cargo xtask packaging --out DIR")),
    };
    match outcome {
        Ok(said) => {
            eprintln!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn codegen() -> Result<String> {
    let root = workspace_root()?;
    generate(&root, &root.join(GENERATED_DIR))?;
    Ok(format!("wrote {GENERATED_DIR}/{GENERATED_NAME}"))
}

/// The committed code is compared only by the compiler version that wrote it: another one encodes the schema's nodes
/// in another way, and the difference would say nothing.
fn check() -> Result<String> {
    let root = workspace_root()?;
    let committed = read(&root.join(GENERATED_DIR).join(GENERATED_NAME))?;
    let wrote = committed
        .lines()
        .find_map(|line| line.strip_prefix(VERSION_MARK))
        .context("the committed code does not name the capnp version that wrote it")?;
    let here = match Command::new("capnp").arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return Ok(format!("skipped: no capnp tool to check the generated code with ({error})")),
    };
    if !here.ends_with(wrote.trim_start_matches(" Cap'n Proto version").trim()) {
        return Ok(format!("skipped: the generated code is by capnp{wrote}, and this machine has {here}"));
    }
    let fresh_dir = root.join("target/codegen-check");
    std::fs::create_dir_all(&fresh_dir).with_context(|| format!("cannot make {}", fresh_dir.display()))?;
    generate(&root, &fresh_dir)?;
    if read(&fresh_dir.join(GENERATED_NAME))? != committed {
        bail!("{GENERATED_DIR}/{GENERATED_NAME} is not what {SCHEMA_FILE} gives; run `cargo xtask codegen`");
    }
    Ok("the generated code is current".to_owned())
}

fn generate(root: &Path, output_dir: &Path) -> Result<()> {
    capnpc::CompilerCommand::new()
        .src_prefix(root.join(SCHEMA_DIR))
        .file(root.join(SCHEMA_FILE))
        .output_path(output_dir)
        .run()
        .context("capnp failed; it needs the packages `capnproto` and `libcapnp-dev`")
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_path_buf())
}
