//! A node that answers as each test says, over HTTP on loopback, in the words and heads that Bitcoin Core 31.99 used.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut};
use jsonrpc::base64::Engine;
use jsonrpc::base64::engine::general_purpose::STANDARD;
use jsonrpc::serde_json::{Value, json};
use rescan_fixtures::chain_builder::ChainBuilder;
use tempfile::TempDir;

use crate::node::{Address, Node, NodeError};

const COOKIE: &str = "__cookie__:5d2f6c5e1b";

/// What a call comes to.
pub(super) enum Said {
    /// JSON, as it is to stand in the answer.
    Result(String),
    Error(i32, &'static str),
    /// A whole response.
    Raw(&'static str),
    /// The answer comes, and the connection is closed without a word of it, as an idle one is.
    ResultThenEnd(String),
}

impl Said {
    pub(super) fn json(value: &Value) -> Self {
        Self::Result(value.to_string())
    }
}

/// The node, until it is dropped: its thread then ends with the test's process.
pub(super) struct FakeNode {
    pub(super) address: Address,
    pub(super) folder: TempDir,
    traffic: Arc<[AtomicU64; 2]>,
    /// The methods that were called, in order.
    pub(super) called: Arc<Mutex<Vec<String>>>,
}

impl FakeNode {
    /// One that answers calls like this.
    pub(super) fn start(answer: impl FnMut(&str, &Value) -> Said + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its own address").to_string().parse().expect("an address");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(".cookie"), COOKIE).expect("a cookie");
        let (traffic, called) = (Arc::new([AtomicU64::new(0), AtomicU64::new(0)]), Arc::default());
        let mut speaker = Speaker { answer, traffic: Arc::clone(&traffic), called: Arc::clone(&called) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that leaves is no affair of the node's.
                let _ended = stream.and_then(|stream| speaker.speak(&stream));
            }
        });
        Self { address, folder, traffic, called }
    }

    /// One that says of the chain what a node says.
    pub(super) fn of(chain: ChainBuilder) -> Self {
        Self::start(move |method, params| says_of(&chain, method, params))
    }

    pub(super) fn cookie(&self) -> PathBuf {
        self.folder.path().join(".cookie")
    }

    pub(super) async fn connect(&self) -> Result<Node, NodeError> {
        Node::connect(self.address.clone(), &self.cookie()).await
    }

    /// Bytes that came to it, and that it sent.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let [received, sent] = &*self.traffic;
        (received.load(Ordering::SeqCst), sent.load(Ordering::SeqCst))
    }
}

struct Speaker<A> {
    answer: A,
    traffic: Arc<[AtomicU64; 2]>,
    called: Arc<Mutex<Vec<String>>>,
}

impl<A: FnMut(&str, &Value) -> Said> Speaker<A> {
    fn speak(&mut self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let expected = format!("Basic {}", STANDARD.encode(COOKIE));
        loop {
            let (mut length, mut is_known) = (0, false);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                self.traffic[0].fetch_add(line.len() as u64, Ordering::SeqCst);
                let line = line.trim_end();
                match line.split_once(": ") {
                    Some(("Content-Length", bytes)) => length = bytes.parse().expect("a length"),
                    Some(("Authorization", said)) => is_known = expected == said,
                    _ if line.is_empty() => break,
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            self.traffic[0].fetch_add(length as u64, Ordering::SeqCst);
            let call: Value = jsonrpc::serde_json::from_slice(&body).expect("a call");
            let method = call["method"].as_str().expect("a method");
            self.called.lock().expect("nobody panicked").push(method.to_owned());
            let id = &call["id"];
            let ok = |body: String| {
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            };
            let result = |json: String| ok(format!("{{\"jsonrpc\":\"2.0\",\"result\":{json},\"id\":{id}}}\n"));
            let (response, ends) = match is_known {
                false => (
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"jsonrpc\"\r\nContent-Length: 0\r\n\r\n"
                        .to_owned(),
                    false,
                ),
                true => match (self.answer)(method, &call["params"]) {
                    Said::Result(json) => (result(json), false),
                    Said::ResultThenEnd(json) => (result(json), true),
                    Said::Error(code, message) => {
                        let error = json!({"code": code, "message": message});
                        (ok(format!("{{\"jsonrpc\":\"2.0\",\"error\":{error},\"id\":{id}}}\n")), false)
                    }
                    Said::Raw(response) => (response.to_owned(), true),
                },
            };
            // Counted before it is sent, so that whoever has received it finds it counted.
            self.traffic[1].fetch_add(response.len() as u64, Ordering::SeqCst);
            stream.write_all(response.as_bytes())?;
            if ends {
                return Ok(());
            }
        }
    }
}

/// What a node with that chain and an index of its filters says.
pub(super) fn says_of(chain: &ChainBuilder, method: &str, params: &Value) -> Said {
    let number = |at: usize| u32::try_from(params[at].as_u64().expect("a number")).expect("a height");
    match method {
        "getnetworkinfo" => Said::json(&json!({"version": 319_900, "subversion": "/Satoshi:31.99.0/"})),
        "getblockchaininfo" => Said::json(&json!({"chain": "regtest", "blocks": chain.tip_height(), "pruned": false})),
        "getindexinfo" => {
            let index = json!({"synced": true, "best_block_height": chain.tip_height()});
            Said::json(&json!({"basic block filter index": index}))
        }
        "getblockhash" if number(0) > chain.tip_height() => Said::Error(-8, "Block height out of range"),
        "getblockhash" => Said::json(&json!(chain.hash_at(number(0)).to_string())),
        "getblock" => {
            let hash = params[0].as_str().expect("a hash").parse().expect("a hash");
            assert_eq!(params[1], 0, "blocks are asked for whole");
            Said::json(&json!(serialize_hex(chain.block(&hash).expect("it is of this chain"))))
        }
        "scanblocks" => {
            let (from, to) = (number(2), number(3));
            let scripts = scripts_in(&params[1]);
            let heights = (from..=to).filter(|height| !activity_at(chain, *height, &scripts).is_empty());
            let mut found: Vec<String> = heights.map(|height| chain.hash_at(height).to_string()).collect();
            // Filters pass a block now and then that holds nothing.
            found.push(chain.hash_at(to).to_string());
            found.dedup();
            Said::json(&json!({"from_height": from, "to_height": to, "relevant_blocks": found, "completed": true}))
        }
        "getdescriptoractivity" => {
            assert_eq!(params[2], false, "what is unconfirmed is not asked for");
            let scripts = scripts_in(&params[1]);
            let hashes = params[0].as_array().expect("hashes").iter();
            let heights = hashes.map(|hash| {
                let hash = hash.as_str().expect("a hash").parse().expect("a hash");
                chain.height_of(&hash).expect("it is of this chain")
            });
            let events: Vec<String> = heights.flat_map(|height| activity_at(chain, height, &scripts)).collect();
            Said::Result(format!("{{\"activity\":[{}]}}", events.join(",")))
        }
        _ => Said::Error(-32_601, "Method not found"),
    }
}

fn scripts_in(descriptors: &Value) -> Vec<ScriptBuf> {
    let descriptors = descriptors.as_array().expect("descriptors").iter().map(|it| it.as_str().expect("a descriptor"));
    descriptors
        .map(|raw| {
            let hex = raw.strip_prefix("raw(").and_then(|rest| rest.strip_suffix(')')).expect("a raw descriptor");
            ScriptBuf::from_hex(hex).expect("a script")
        })
        .collect()
}

/// Spends before receipts, transaction by transaction; of every coin of the chain, however old.
fn activity_at(chain: &ChainBuilder, height: u32, scripts: &[ScriptBuf]) -> Vec<String> {
    let made = chain.active().flat_map(|(_, block)| &block.txdata).flat_map(|transaction| {
        let txid = transaction.compute_txid();
        (0..).zip(&transaction.output).map(move |(vout, output)| (OutPoint { txid, vout }, output))
    });
    let made: HashMap<OutPoint, &TxOut> = made.collect();
    let bitcoin = |amount: Amount| format!("{}.{:08}", amount.to_sat() / 100_000_000, amount.to_sat() % 100_000_000);
    let mut events = Vec::new();
    let block = chain.block_at(height);
    let hash = block.block_hash();
    for transaction in &block.txdata {
        let txid = transaction.compute_txid();
        for (vin, input) in transaction.input.iter().enumerate() {
            let OutPoint { txid: prevout, vout } = input.previous_output;
            let Some(coin) = made.get(&input.previous_output) else { continue };
            if scripts.contains(&coin.script_pubkey) {
                events.push(format!(
                    r#"{{"type":"spend","amount":{},"blockhash":"{hash}","height":{height},"spend_txid":"{txid}","spend_vin":{vin},"prevout_txid":"{prevout}","prevout_vout":{vout},"prevout_spk":{{"hex":"{:x}"}}}}"#,
                    bitcoin(coin.value),
                    coin.script_pubkey
                ));
            }
        }
        for (vout, output) in transaction.output.iter().enumerate() {
            if scripts.contains(&output.script_pubkey) {
                events.push(format!(
                    r#"{{"type":"receive","amount":{},"blockhash":"{hash}","height":{height},"txid":"{txid}","vout":{vout},"output_spk":{{"hex":"{:x}"}}}}"#,
                    bitcoin(output.value),
                    output.script_pubkey
                ));
            }
        }
    }
    events
}
