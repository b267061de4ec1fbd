//! Results of a running scan on the wire: reports, whole blocks, block ids, progress.

use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, TxMerkleNode, consensus};
use capnp::struct_list;

use super::request::{read_outpoint, read_output, write_outpoint, write_output};
use super::{WireError, hash_bytes, list_length, newer, read_block_hash, txid, write_each};
use crate::position::Height;
use crate::report::{BlockId, BlockReport, FullBlock, Origin, Phase, Progress, Received, Spent, TransactionReport};
use crate::rescan_capnp::{
    self as capnp_types, block_id, block_report, full_block, keychain_script, origin, progress, received, spent,
    transaction_report,
};

/// Size of an origin in a message.
pub(super) const ORIGIN: usize = 32;

/// Reads a batch of reports.
///
/// # Errors
/// [`WireError`] if a report is malformed.
pub fn read_reports(batch: struct_list::Reader<'_, block_report::Owned>) -> Result<Vec<BlockReport>, WireError> {
    batch.iter().map(read_report).collect()
}

/// Writes a batch of reports to a list of the same length.
///
/// # Errors
/// [`WireError::TooLong`] if a list in a report has more entries than a message can carry.
pub fn write_reports(
    reports: &[BlockReport],
    batch: struct_list::Builder<'_, block_report::Owned>,
) -> Result<(), WireError> {
    write_each(reports, batch, write_report)
}

/// Reads the report of one block.
///
/// # Errors
/// [`WireError`] if the message is malformed, or a list is empty that must not be.
pub fn read_report(reader: block_report::Reader<'_>) -> Result<BlockReport, WireError> {
    let transactions: Vec<_> =
        reader.get_transactions()?.iter().map(read_transaction).collect::<Result<_, WireError>>()?;
    if transactions.is_empty() {
        return Err(WireError::Empty { field: "report.transactions" });
    }
    Ok(BlockReport {
        height: Height(reader.get_height()),
        hash: read_block_hash("report.hash", reader.get_hash()?)?,
        time: reader.get_time_seconds(),
        is_late: reader.get_is_late(),
        header: read_header(reader.get_header()?)?,
        transactions,
    })
}

/// Writes the report of one block.
///
/// # Errors
/// [`WireError::TooLong`] if a list has more entries than a message can carry.
pub fn write_report(report: &BlockReport, mut builder: block_report::Builder<'_>) -> Result<(), WireError> {
    builder.set_height(report.height.0);
    builder.set_hash(&report.hash.to_byte_array());
    builder.set_time_seconds(report.time);
    builder.set_is_late(report.is_late);
    if let Some(header) = &report.header {
        builder.set_header(&consensus::serialize(header));
    }
    let length = list_length("report.transactions", report.transactions.len())?;
    write_each(&report.transactions, builder.init_transactions(length), write_transaction)
}

fn read_header(bytes: &[u8]) -> Result<Option<Header>, WireError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let header = consensus::deserialize(bytes)
        .map_err(|error| WireError::Invalid { field: "report.header", detail: error.to_string() })?;
    Ok(Some(header))
}

/// Approximate size of a report in a message, in bytes. Batches are measured by it.
#[must_use]
pub fn report_bytes(report: &BlockReport) -> usize {
    // A struct takes its fields in words of 8 bytes, and 8 for the pointer in its list; blobs are
    // padded to words.
    const BLOCK: usize = 80;
    const HEADER: usize = 80;
    const TRANSACTION: usize = 80;
    const RECEIVED: usize = 40;
    const SPENT: usize = 88;
    const BRANCH_NODE: usize = 40;
    let transactions = report.transactions.iter().map(|transaction| {
        let received =
            transaction.received.iter().map(|it| RECEIVED + it.script_pubkey.len() + ORIGIN * it.origins.len());
        let spent = transaction.spent.iter().map(|it| SPENT + ORIGIN * it.origins.len());
        let raw = transaction.raw.as_ref().map_or(0, Vec::len);
        let branch = transaction.merkle_branch.as_ref().map_or(0, |branch| BRANCH_NODE * branch.len());
        TRANSACTION + received.sum::<usize>() + spent.sum::<usize>() + raw + branch
    });
    let header = if report.header.is_some() { HEADER } else { 0 };
    BLOCK + header + transactions.sum::<usize>()
}

fn read_transaction(reader: transaction_report::Reader<'_>) -> Result<TransactionReport, WireError> {
    Ok(TransactionReport {
        tx_index: reader.get_tx_index(),
        txid: txid("transaction.txid", reader.get_txid()?)?,
        received: reader.get_received()?.iter().map(read_received).collect::<Result<_, WireError>>()?,
        spent: reader.get_spent()?.iter().map(read_spent).collect::<Result<_, WireError>>()?,
        raw: if reader.has_raw() { Some(reader.get_raw()?.to_vec()) } else { None },
        merkle_branch: read_branch(reader)?,
    })
}

fn read_branch(reader: transaction_report::Reader<'_>) -> Result<Option<Vec<TxMerkleNode>>, WireError> {
    if !reader.has_merkle_branch() {
        return Ok(None);
    }
    let nodes = reader.get_merkle_branch()?;
    let nodes =
        nodes.iter().map(|node| hash_bytes("transaction.merkleBranch", node?).map(TxMerkleNode::from_byte_array));
    nodes.collect::<Result<_, _>>().map(Some)
}

fn write_transaction(
    transaction: &TransactionReport,
    mut builder: transaction_report::Builder<'_>,
) -> Result<(), WireError> {
    builder.set_tx_index(transaction.tx_index);
    builder.set_txid(&transaction.txid.to_byte_array());
    let length = list_length("transaction.received", transaction.received.len())?;
    write_each(&transaction.received, builder.reborrow().init_received(length), write_received)?;
    let length = list_length("transaction.spent", transaction.spent.len())?;
    write_each(&transaction.spent, builder.reborrow().init_spent(length), write_spent)?;
    if let Some(raw) = &transaction.raw {
        list_length("transaction.raw", raw.len())?;
        builder.set_raw(raw);
    }
    if let Some(branch) = &transaction.merkle_branch {
        let length = list_length("transaction.merkleBranch", branch.len())?;
        let mut nodes = builder.init_merkle_branch(length);
        for (index, node) in (0..length).zip(branch) {
            nodes.set(index, &node.to_byte_array());
        }
    }
    Ok(())
}

fn read_received(reader: received::Reader<'_>) -> Result<Received, WireError> {
    let output = read_output(reader.get_output()?)?;
    Ok(Received {
        vout: reader.get_vout(),
        value: output.value,
        script_pubkey: output.script_pubkey,
        origins: read_origins("received.origins", reader.get_origins()?)?,
    })
}

fn write_received(received: &Received, mut builder: received::Builder<'_>) -> Result<(), WireError> {
    builder.set_vout(received.vout);
    write_output(received.value, &received.script_pubkey, builder.reborrow().init_output())?;
    let length = list_length("received.origins", received.origins.len())?;
    write_origins(&received.origins, builder.init_origins(length));
    Ok(())
}

fn read_spent(reader: spent::Reader<'_>) -> Result<Spent, WireError> {
    let value = match reader.get_value().which().map_err(newer("spent.value"))? {
        spent::value::Unknown(()) => None,
        spent::value::ValueSat(sat) => Some(Amount::from_sat(sat)),
    };
    Ok(Spent {
        vin: reader.get_vin(),
        prevout: read_outpoint(reader.get_prevout()?)?,
        value,
        origins: read_origins("spent.origins", reader.get_origins()?)?,
    })
}

fn write_spent(spent: &Spent, mut builder: spent::Builder<'_>) -> Result<(), WireError> {
    builder.set_vin(spent.vin);
    write_outpoint(spent.prevout, builder.reborrow().init_prevout());
    let mut value = builder.reborrow().init_value();
    match spent.value {
        None => value.set_unknown(()),
        Some(amount) => value.set_value_sat(amount.to_sat()),
    }
    let length = list_length("spent.origins", spent.origins.len())?;
    write_origins(&spent.origins, builder.init_origins(length));
    Ok(())
}

pub(super) fn read_origins(
    field: &'static str,
    list: struct_list::Reader<'_, origin::Owned>,
) -> Result<Vec<Origin>, WireError> {
    if list.is_empty() {
        return Err(WireError::Empty { field });
    }
    list.iter().map(read_origin).collect()
}

fn read_origin(reader: origin::Reader<'_>) -> Result<Origin, WireError> {
    Ok(match reader.which().map_err(newer("origin"))? {
        origin::Keychain(script) => {
            let script = script?;
            let index = match script.get_index().which().map_err(newer("origin.keychain.index"))? {
                keychain_script::index::Single(()) => None,
                keychain_script::index::Derived(index) => Some(index),
            };
            Origin::Keychain { keychain: script.get_keychain(), index }
        }
        origin::Script(number) => Origin::Script(number),
        origin::Outpoint(number) => Origin::Outpoint(number),
    })
}

pub(super) fn write_origins(origins: &[Origin], mut list: struct_list::Builder<'_, origin::Owned>) {
    for (at, origin) in (0..list.len()).zip(origins) {
        let mut builder = list.reborrow().get(at);
        match *origin {
            Origin::Script(number) => builder.set_script(number),
            Origin::Outpoint(number) => builder.set_outpoint(number),
            Origin::Keychain { keychain, index } => {
                let mut script = builder.init_keychain();
                script.set_keychain(keychain);
                match index {
                    None => script.init_index().set_single(()),
                    Some(index) => script.init_index().set_derived(index),
                }
            }
        }
    }
}

/// Reads a batch of whole blocks.
///
/// # Errors
/// [`WireError`] if a block is malformed.
pub fn read_blocks(batch: struct_list::Reader<'_, full_block::Owned>) -> Result<Vec<FullBlock>, WireError> {
    batch.iter().map(read_full_block).collect()
}

/// Writes a batch of whole blocks to a list of the same length.
///
/// # Errors
/// [`WireError::TooLong`] if a block is longer than a message can carry.
pub fn write_blocks(blocks: &[FullBlock], batch: struct_list::Builder<'_, full_block::Owned>) -> Result<(), WireError> {
    write_each(blocks, batch, write_full_block)
}

/// Reads a whole block. The caller must check that the data is a block with that hash.
///
/// # Errors
/// [`WireError`] if the message is malformed.
pub fn read_full_block(reader: full_block::Reader<'_>) -> Result<FullBlock, WireError> {
    Ok(FullBlock {
        height: Height(reader.get_height()),
        hash: read_block_hash("block.hash", reader.get_hash()?)?,
        data: reader.get_data()?.to_vec(),
    })
}

/// Writes a whole block.
///
/// # Errors
/// [`WireError::TooLong`] if it is longer than a message can carry.
pub fn write_full_block(block: &FullBlock, mut builder: full_block::Builder<'_>) -> Result<(), WireError> {
    list_length("block.data", block.data.len())?;
    builder.set_height(block.height.0);
    builder.set_hash(&block.hash.to_byte_array());
    builder.set_data(&block.data);
    Ok(())
}

/// Reads a block id; none for the entry of a height outside the chain.
///
/// # Errors
/// [`WireError`] if the message is malformed.
pub fn read_block_id(reader: block_id::Reader<'_>) -> Result<Option<BlockId>, WireError> {
    let hash = reader.get_hash()?;
    if hash.is_empty() {
        return Ok(None);
    }
    Ok(Some(BlockId {
        height: Height(reader.get_height()),
        hash: read_block_hash("block id.hash", hash)?,
        time: reader.get_time_seconds(),
    }))
}

/// Writes a block id. An entry that was never written is read as none.
pub fn write_block_id(id: &BlockId, mut builder: block_id::Builder<'_>) {
    builder.set_height(id.height.0);
    builder.set_hash(&id.hash.to_byte_array());
    builder.set_time_seconds(id.time);
}

/// Reads the progress of a scan.
#[must_use]
pub fn read_progress(reader: progress::Reader<'_>) -> Progress {
    Progress {
        phase: match reader.get_phase() {
            Ok(capnp_types::Phase::ReadingChain) => Phase::ReadingChain,
            Ok(capnp_types::Phase::Deriving) => Phase::Deriving,
            Ok(capnp_types::Phase::Walking) => Phase::Walking,
            Ok(capnp_types::Phase::Done) => Phase::Done,
            Err(capnp::NotInSchema(_)) => Phase::Unknown,
        },
        scripts_derived: reader.get_scripts_derived(),
        scripts_total: reader.get_scripts_total(),
        blocks_done: reader.get_blocks_done(),
        blocks_total: reader.get_blocks_total(),
        bytes_done: reader.get_bytes_done(),
        bytes_total: reader.get_bytes_total(),
        elapsed_micros: reader.get_elapsed_microseconds(),
    }
}

/// Writes the progress of a scan.
///
/// # Errors
/// [`WireError::Unsayable`] for a phase that was read as unknown.
pub fn write_progress(progress: &Progress, mut builder: progress::Builder<'_>) -> Result<(), WireError> {
    builder.set_phase(match progress.phase {
        Phase::ReadingChain => capnp_types::Phase::ReadingChain,
        Phase::Deriving => capnp_types::Phase::Deriving,
        Phase::Walking => capnp_types::Phase::Walking,
        Phase::Done => capnp_types::Phase::Done,
        Phase::Unknown => return Err(WireError::Unsayable { field: "progress.phase" }),
    });
    builder.set_scripts_derived(progress.scripts_derived);
    builder.set_scripts_total(progress.scripts_total);
    builder.set_blocks_done(progress.blocks_done);
    builder.set_blocks_total(progress.blocks_total);
    builder.set_bytes_done(progress.bytes_done);
    builder.set_bytes_total(progress.bytes_total);
    builder.set_elapsed_microseconds(progress.elapsed_micros);
    Ok(())
}
