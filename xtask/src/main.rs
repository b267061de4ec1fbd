//! Chores of the workspace. `cargo xtask codegen` regenerates the Rust code of the Cap'n Proto
//! schemas: of our own protocol, and of the calls to a node in `rescan-server`. `cargo xtask
//! codegen --check` fails if the committed code differs from the schema's. `cargo xtask packaging
//! --out DIR` writes the files of a package beside the programs.

mod packaging;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

/// A schema, and the committed code generated from it. Paths are from the root.
struct Schema {
    directory: &'static str,
    file: &'static str,
    generated_dir: &'static str,
    generated_name: &'static str,
}

const SCHEMAS: [Schema; 2] = [
    Schema {
        directory: "rescan-schema",
        file: "rescan.capnp",
        generated_dir: "rescan-schema/src",
        generated_name: "rescan_capnp.rs",
    },
    Schema {
        directory: "rescan-server/schema",
        file: "node.capnp",
        generated_dir: "rescan-server/src",
        generated_name: "node_capnp.rs",
    },
];

/// The start of the line of generated code that names the compiler.
const VERSION_MARK: &str = "// capnp binary version:";

#[expect(clippy::print_stderr, reason = "messages to the person who runs a chore")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["codegen"] => codegen(),
        ["codegen", "--check"] => check(),
        ["packaging", "--out", directory] => packaging::write(Path::new(directory)),
        _ => Err(anyhow::anyhow!("usage: cargo xtask codegen [--check] | cargo xtask packaging --out DIR")),
    };
    match outcome {
        Ok(message) => {
            eprintln!("{message}");
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
    for schema in &SCHEMAS {
        schema.generate(&root, &root.join(schema.generated_dir))?;
    }
    Ok(format!("wrote {}", SCHEMAS.each_ref().map(Schema::committed).join(" and ")))
}

fn check() -> Result<String> {
    let root = workspace_root()?;
    let messages: Result<Vec<String>> = SCHEMAS.iter().map(|schema| schema.check(&root)).collect();
    Ok(messages?.join("\n"))
}

impl Schema {
    /// The path of the committed code.
    fn committed(&self) -> String {
        format!("{}/{}", self.generated_dir, self.generated_name)
    }

    /// Compares the committed code, if the compiler here has the version that wrote it. Another
    /// version encodes the schema's nodes differently, so a difference would mean nothing.
    fn check(&self, root: &Path) -> Result<String> {
        let generated = self.committed();
        let committed = read(&root.join(&generated))?;
        let wrote = committed
            .lines()
            .find_map(|line| line.strip_prefix(VERSION_MARK))
            .with_context(|| format!("{generated} does not name the capnp version that wrote it"))?;
        let here = match Command::new("capnp").arg("--version").output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            Err(error) => return Ok(format!("skipped: no capnp tool to check {generated} ({error})")),
        };
        if !here.ends_with(wrote.trim_start_matches(" Cap'n Proto version").trim()) {
            return Ok(format!("skipped: capnp{wrote} wrote {generated}, and this machine has {here}"));
        }
        let fresh_dir = root.join("target/codegen-check");
        std::fs::create_dir_all(&fresh_dir).with_context(|| format!("cannot make {}", fresh_dir.display()))?;
        self.generate(root, &fresh_dir)?;
        if read(&fresh_dir.join(self.generated_name))? != committed {
            bail!("{generated} differs from the code of {}/{}; run `cargo xtask codegen`", self.directory, self.file);
        }
        Ok(format!("{generated} is current"))
    }

    fn generate(&self, root: &Path, output_dir: &Path) -> Result<()> {
        let directory = root.join(self.directory);
        capnpc::CompilerCommand::new()
            .src_prefix(&directory)
            .file(directory.join(self.file))
            .output_path(output_dir)
            .run()
            .context("capnp failed; it needs the packages `capnproto` and `libcapnp-dev`")
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn workspace_root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_path_buf())
}
