//! The state file: whatever lies in its place is refused, or is what it was written as.
//!
//! Input: one byte, then the file. With the byte's lowest bit set, the checksum at the file's end is put right, so that the
//! fields behind it are reached; nobody but rescan writes such a file, so that then only panics count.

use rescan_core::blocks::obfuscation::ObfuscationKey;
use rescan_core::chain::network::Network;
use rescan_server::chain::state_file::reread;

/// Loads a state file of regtest in the clear.
///
/// # Panics
/// If one is accepted that is not checksummed, or does not survive being loaded and saved.
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
