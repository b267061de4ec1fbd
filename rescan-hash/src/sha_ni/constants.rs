//! The constants of SHA-256 (FIPS 180-4, 4.2.2 and 5.3.3), and constants derived from them for
//! constant padding.

/// Four words, for four rounds in order.
pub(super) type Four = [u32; 4];

/// The state before the first block: a to h.
pub(super) const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// One constant for each round: four quarters of four times four rounds.
pub(super) const ROUND: [[Four; 4]; 4] = [
    [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    ],
    [
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    ],
    [
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    ],
    [
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ],
];

/// The padding after a message of 32 bytes in its one block.
pub(super) const PADDING_AFTER_32: [Four; 2] = [[0x8000_0000, 0, 0, 0], [0, 0, 0, 32 * 8]];

/// The message schedule of the padding block after a message of 64 bytes, with the round constants
/// added.
pub(super) const ROUND_OF_PADDING_AFTER_64: [Four; 16] = round_of_padding_after_64();

const fn round_of_padding_after_64() -> [Four; 16] {
    let mut schedule = [0_u32; 64];
    schedule[0] = 0x8000_0000;
    schedule[15] = 64 * 8;
    let mut round = 16;
    while round < 64 {
        let (early, late) = (schedule[round - 15], schedule[round - 2]);
        let small_0 = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
        let small_1 = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
        schedule[round] =
            schedule[round - 16].wrapping_add(small_0).wrapping_add(schedule[round - 7]).wrapping_add(small_1);
        round += 1;
    }
    let mut rounds = [[0; 4]; 16];
    let mut round = 0;
    while round < 64 {
        rounds[round / 4][round % 4] = schedule[round].wrapping_add(ROUND[round / 16][round / 4 % 4][round % 4]);
        round += 1;
    }
    rounds
}
