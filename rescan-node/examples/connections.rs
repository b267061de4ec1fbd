//! Measures calls of a node with a connection for each, and with one that is kept:
//!
//! ```text
//! cargo run --release -p rescan-node --example connections -- http://127.0.0.1:18443 DATADIR/regtest/.cookie [CALLS]
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its figures")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use rescan_node::{Address, Connections, Credentials, RpcClient};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: Address = arguments.next().ok_or("expected the address of a node's RPC")?.parse()?;
    let cookie = PathBuf::from(arguments.next().ok_or("expected the node's cookie file")?);
    let calls: u32 = arguments.next().map_or(Ok(228), |text| text.parse())?;
    println!("{calls} calls of getblockhash, each way twice:");
    for connections in [Connections::Kept, Connections::PerCall, Connections::Kept, Connections::PerCall] {
        let client = RpcClient::with_connections(address.clone(), Credentials::Cookie(cookie.clone()), connections)?;
        let begun = Instant::now();
        for _ in 0..calls {
            client.block_hash(0)?;
        }
        let time = begun.elapsed();
        println!(
            "{connections:?}: {:.3} s, {:.2} ms a call",
            time.as_secs_f64(),
            time.as_secs_f64() * 1e3 / f64::from(calls)
        );
    }
    Ok(())
}
