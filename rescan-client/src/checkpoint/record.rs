//! The content of a checkpoint's file. Hashes, outpoints and scripts are text as everywhere else, amounts are in satoshi.
//!
//! These structs are the format: a change to them is a new version of it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use bitcoin::hashes::sha256;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid};
use rescan_core::coins::Coin;
use rescan_core::position::Height;
use rescan_core::report::{BlockId, Origin};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ledger::{BlockUndo, Buried, Ledger, Reported, SpentCoin};
use super::subject::Subject;
use super::{Checkpoint, CoveredTo};

/// All of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    genesis: Text<BlockHash>,
    fingerprint: Text<sha256::Hash>,
    /// Absent from files of programs that did not know it.
    #[serde(default)]
    has_begun: bool,
    covered: Option<CoveredRecord>,
    watched_through: Vec<Option<u32>>,
    undo_from: u32,
    dropped: Option<u32>,
    dropped_uses: Vec<(u32, Option<u32>)>,
    coins: Vec<CoinRecord>,
    undo: Vec<UndoRecord>,
    buried: Vec<BuriedRecord>,
}

#[derive(Serialize, Deserialize)]
struct CoveredRecord {
    from: u32,
    height: u32,
    hash: Text<BlockHash>,
    time: u32,
    locator: Vec<Text<BlockHash>>,
}

#[derive(Serialize, Deserialize)]
struct CoinRecord {
    outpoint: Text<OutPoint>,
    height: u32,
    block: Text<BlockHash>,
    tx_index: u32,
    sat: u64,
    script: Hex,
    origins: Vec<OriginRecord>,
}

#[derive(Serialize, Deserialize)]
struct UndoRecord {
    height: u32,
    block: Text<BlockHash>,
    txids: Vec<(u32, Text<Txid>)>,
    /// The origins of each, by its index. Absent from files of programs that did not know it.
    #[serde(default)]
    origins: Vec<(u32, Vec<OriginRecord>)>,
    spent: Vec<CoinRecord>,
    /// Of coins that are not known.
    spent_unknown: Vec<(Text<OutPoint>, Vec<OriginRecord>)>,
    uses: Vec<(u32, Option<u32>)>,
}

#[derive(Serialize, Deserialize)]
struct BuriedRecord {
    outpoint: Text<OutPoint>,
    height: u32,
    origins: Vec<OriginRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OriginRecord {
    Keychain(u32, Option<u32>),
    Script(u32),
    Outpoint(u32),
}

/// Anything that has a text form, as that text.
struct Text<T>(T);

/// A script in hex.
struct Hex(ScriptBuf);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ScriptBuf::from_hex(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl Record {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { subject, has_begun, covered, ledger } = checkpoint;
        Self {
            genesis: Text(subject.genesis),
            fingerprint: Text(subject.fingerprint),
            has_begun: *has_begun,
            covered: covered.as_ref().map(CoveredRecord::from),
            watched_through: ledger.watched_through.clone(),
            undo_from: ledger.undo_from.0,
            dropped: ledger.dropped.map(|height| height.0),
            dropped_uses: pairs(&ledger.dropped_uses),
            coins: ledger.coins.values().map(CoinRecord::from).collect(),
            undo: ledger.undo.iter().map(|(key, undo)| UndoRecord::of(key.0, key.1, undo)).collect(),
            buried: ledger.buried.iter().map(|(outpoint, buried)| BuriedRecord::of(*outpoint, buried)).collect(),
        }
    }
}

impl From<Record> for Checkpoint {
    fn from(record: Record) -> Self {
        let mut ledger = Ledger::default();
        ledger.coins = record.coins.into_iter().map(Coin::from).map(|coin| (coin.outpoint, coin)).collect();
        ledger.undo = record.undo.into_iter().map(|undo| ((Height(undo.height), undo.block.0), undo.into())).collect();
        ledger.undo_from = Height(record.undo_from);
        ledger.dropped = record.dropped.map(Height);
        ledger.dropped_uses = record.dropped_uses.into_iter().collect();
        ledger.buried = record.buried.into_iter().map(|buried| (buried.outpoint.0, buried.into())).collect();
        ledger.watched_through = record.watched_through;
        Self {
            subject: Subject { genesis: record.genesis.0, fingerprint: record.fingerprint.0 },
            has_begun: record.has_begun || record.covered.is_some(),
            covered: record.covered.map(CoveredTo::from),
            ledger: ledger.indexed(),
        }
    }
}

impl From<&CoveredTo> for CoveredRecord {
    fn from(covered: &CoveredTo) -> Self {
        let BlockId { height, hash, time } = covered.block;
        let locator = covered.locator.iter().copied().map(Text).collect();
        Self { from: covered.from.0, height: height.0, hash: Text(hash), time, locator }
    }
}

impl From<CoveredRecord> for CoveredTo {
    fn from(record: CoveredRecord) -> Self {
        Self {
            from: Height(record.from),
            block: BlockId { height: Height(record.height), hash: record.hash.0, time: record.time },
            locator: record.locator.into_iter().map(|hash| hash.0).collect(),
        }
    }
}

impl From<&Coin> for CoinRecord {
    fn from(coin: &Coin) -> Self {
        Self {
            outpoint: Text(coin.outpoint),
            height: coin.height.0,
            block: Text(coin.block_hash),
            tx_index: coin.tx_index,
            sat: coin.value.to_sat(),
            script: Hex(coin.script_pubkey.clone()),
            origins: origin_records(&coin.origins),
        }
    }
}

impl From<CoinRecord> for Coin {
    fn from(record: CoinRecord) -> Self {
        Self {
            height: Height(record.height),
            block_hash: record.block.0,
            tx_index: record.tx_index,
            outpoint: record.outpoint.0,
            value: Amount::from_sat(record.sat),
            script_pubkey: record.script.0,
            origins: origins(record.origins),
        }
    }
}

impl UndoRecord {
    fn of(height: Height, block: BlockHash, undo: &BlockUndo) -> Self {
        let (mut spent, mut spent_unknown) = (Vec::new(), Vec::new());
        for (outpoint, coin) in &undo.spent {
            match coin {
                SpentCoin::Known(coin) => spent.push(CoinRecord::from(coin)),
                SpentCoin::Unknown(origins) => spent_unknown.push((Text(*outpoint), origin_records(origins))),
            }
        }
        let transactions = || undo.transactions.iter();
        let txids = transactions().map(|(index, reported)| (*index, Text(reported.txid))).collect();
        let origins = transactions().map(|(index, reported)| (*index, origin_records(&reported.origins))).collect();
        Self { height: height.0, block: Text(block), txids, origins, spent, spent_unknown, uses: pairs(&undo.uses) }
    }
}

impl From<UndoRecord> for BlockUndo {
    fn from(record: UndoRecord) -> Self {
        let known = record.spent.into_iter().map(Coin::from).map(|coin| (coin.outpoint, SpentCoin::Known(coin)));
        let unknown = record.spent_unknown.into_iter();
        let unknown = unknown.map(|(outpoint, of)| (outpoint.0, SpentCoin::Unknown(origins(of))));
        let of = |(index, txid): (u32, Text<Txid>)| (index, Reported { txid: txid.0, origins: Vec::new() });
        let mut transactions: BTreeMap<u32, Reported> = record.txids.into_iter().map(of).collect();
        for (index, records) in record.origins {
            if let Some(reported) = transactions.get_mut(&index) {
                reported.origins = origins(records);
            }
        }
        Self { transactions, spent: known.chain(unknown).collect(), uses: record.uses.into_iter().collect() }
    }
}

impl BuriedRecord {
    fn of(outpoint: OutPoint, buried: &Buried) -> Self {
        Self { outpoint: Text(outpoint), height: buried.height.0, origins: origin_records(&buried.origins) }
    }
}

impl From<BuriedRecord> for Buried {
    fn from(record: BuriedRecord) -> Self {
        Self { height: Height(record.height), origins: origins(record.origins) }
    }
}

fn origin_records(origins: &[Origin]) -> Vec<OriginRecord> {
    let record = |origin: &Origin| match *origin {
        Origin::Keychain { keychain, index } => OriginRecord::Keychain(keychain, index),
        Origin::Script(number) => OriginRecord::Script(number),
        Origin::Outpoint(number) => OriginRecord::Outpoint(number),
    };
    origins.iter().map(record).collect()
}

fn origins(records: Vec<OriginRecord>) -> Vec<Origin> {
    let origin = |record| match record {
        OriginRecord::Keychain(keychain, index) => Origin::Keychain { keychain, index },
        OriginRecord::Script(number) => Origin::Script(number),
        OriginRecord::Outpoint(number) => Origin::Outpoint(number),
    };
    records.into_iter().map(origin).collect()
}

fn pairs(uses: &super::ledger::Uses) -> Vec<(u32, Option<u32>)> {
    uses.iter().map(|(keychain, index)| (*keychain, *index)).collect()
}
