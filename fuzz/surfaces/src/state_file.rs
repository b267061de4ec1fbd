//! The state file: any content is refused, or restores the state that was saved.
//!
//! Input: one byte, then the file. If the byte's lowest bit is set, the checksum is corrected, to
//! reach the fields after it. Only rescan writes such a file, so only panics count then.

use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::chain::network::Network;
use rescan_server::chain::state_file::reread;

/// Loads a state file of regtest without obfuscation.
///
/// # Panics
/// If a file with a wrong checksum is accepted, or loading and saving changes it.
pub fn state_file(data: &[u8]) {
    let Some((choice, file)) = data.split_first() else { return };
    let is_forged = choice & 1 == 1;
    let mut file = file.to_vec();
    let body = file.len().saturating_sub(4);
    let checksum = crc32c::crc32c(&file[..body]).to_le_bytes();
    if is_forged {
        file.truncate(body);
        file.extend(checksum);
    }
    let Some((snapshot, saved)) = reread(&file, Network::Regtest, ObfuscationKey::CLEAR) else { return };
    assert_eq!(file[body..], checksum, "what is accepted is checksummed");
    if !is_forged {
        let (again, saved_again) = reread(&saved, Network::Regtest, ObfuscationKey::CLEAR).expect("it was just saved");
        assert_eq!(again.tip(), snapshot.tip());
        assert_eq!(saved_again.len(), saved.len());
    }
}
