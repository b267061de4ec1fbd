//! The calls of a fill as lines for a shell.

use rescan_fill::DryRun;
use rescan_node::{ListedDescriptor, Now, Timestamp};

use crate::args::FillArgs;

/// The calls of a fill that are not made.
pub(crate) struct CallLines<'a> {
    pub(crate) args: &'a FillArgs,
    /// Whether the wallet is to be made.
    pub(crate) is_new: bool,
    /// Given descriptors that the wallet does not have.
    pub(crate) imports: &'a [ListedDescriptor],
    pub(crate) dry: &'a DryRun,
}

impl CallLines<'_> {
    /// All lines. Those with a `#` explain.
    pub(super) fn text(&self) -> String {
        let Self { args, is_new, imports, dry } = *self;
        let (node, wallet) = (self.node(), format!("-rpcwallet={}", args.wallet));
        let mut lines = Vec::new();
        if is_new {
            let name = format!("wallet_name={}", args.wallet);
            lines.push(command(&node, &["-named", "createwallet", &name, "disable_private_keys=true", "blank=true"]));
        }
        let all: Vec<ListedDescriptor> = self.merged(imports);
        if !all.is_empty() {
            lines.push("# \"now\": else Bitcoin Core rescans from the descriptor's birthday at once".to_owned());
            let requests = serde_json::to_string(&all).unwrap_or_default();
            lines.push(command(&node, &[&wallet, "importdescriptors", &requests]));
        }
        if let Some(size) = dry.widening.keypool {
            lines.push(command(&node, &[&wallet, "keypoolrefill", &size.to_string()]));
        }
        for run in &dry.plan.runs {
            let (first, last) = (run.first.to_string(), run.last.to_string());
            lines.push(command(&node, &[&wallet, "rescanblockchain", &first, &last]));
        }
        if !dry.plan.runs.is_empty() {
            lines.push("# without a last block, Bitcoin Core looks at the mempool too".to_owned());
            lines.push(command(&node, &[&wallet, "rescanblockchain", &dry.found.tip.height.to_string()]));
        }
        if lines.is_empty() {
            lines.push("# the wallet has all of its history".to_owned());
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// New and widened descriptors, each once, with the widest range.
    fn merged(&self, imports: &[ListedDescriptor]) -> Vec<ListedDescriptor> {
        let widened = &self.dry.widening.imports;
        let is_widened = |import: &&ListedDescriptor| widened.iter().any(|wide| wide.is_same(import));
        let new = imports.iter().filter(|import| !is_widened(import));
        let at_now =
            |import: &ListedDescriptor| ListedDescriptor { timestamp: Timestamp::Now(Now::Now), ..import.clone() };
        new.chain(widened).map(at_now).collect()
    }

    /// The options of bitcoin-cli that name the node.
    fn node(&self) -> Vec<String> {
        let node = &self.args.node;
        let mut options = Vec::new();
        if let Some(datadir) = &node.datadir {
            options.push(format!("-datadir={}", datadir.display()));
        }
        if let Some(network) = self.args.socket.network {
            options.push(format!("-chain={}", network.chain()));
        }
        if let Some(address) = &node.bitcoin_rpc {
            options.push(format!("-rpcconnect={}", address.to_string().trim_start_matches("http://")));
        }
        if let Some(cookie) = &node.cookie {
            options.push(format!("-rpccookiefile={}", cookie.display()));
        }
        if let Some(user) = &node.rpc_user {
            options.extend([format!("-rpcuser={user}"), "-stdinrpcpass".to_owned()]);
        }
        options
    }
}

fn command(node: &[String], words: &[&str]) -> String {
    let words = node.iter().map(String::as_str).chain(words.iter().copied()).map(quoted);
    std::iter::once("bitcoin-cli".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell_if_they_need_it() {
        for word in ["-rpcwallet=a b", "", r#"[{"desc":"wpkh([aa/84'/0h]x/*)"}]"#, "a'b", "$HOME;`id`", "plain-1.2/x=y"]
        {
            let output = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(word))).output();
            assert_eq!(String::from_utf8(output.expect("a shell").stdout).expect("text"), word);
        }
        assert_eq!(quoted("rescanblockchain"), "rescanblockchain");
    }
}
