//! Derivation of scripts. The oracles are Bitcoin Core's own wallets, vectors published with the
//! BIPs, and plain `miniscript`, one index at a time.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::str::FromStr;

use bitcoin::NetworkKind::{Main, Test};
use bitcoin::bip32::{ChildNumber, Xpriv, Xpub};
use bitcoin::secp256k1::Secp256k1;
use miniscript::Descriptor;
use miniscript::descriptor::DescriptorPublicKey;
use proptest::prelude::*;

use super::*;

mod core_answers;
mod hostile;
mod interpreted;
mod refusals;

/// Accounts of three wallets in a regtest written by Bitcoin Core v31.99.
const ALICE: &str = "[44486522/84h/1h/0h]tpubDDkEEeyP6siWpdGtbbZ62SahKM1LHjTzD6yBz5Lgb1jwJduX8E5Bj44N4Z826dv1byWxg6wCRpSArddJXkbDswkxapnmxWACMoZo5SuEXFx";
const BOB: &str = "[014bd683/84h/1h/0h]tpubDCW9Z1oZMgRjGV5wPg6rwA8LA6nfK3PNeKARjSJekGdY4Vo8MedfLfVJuPHcCWhhoxRsd5YHzPFeENQf9Cr44Bpt5akVeggMFFj2UXFd4mh";
const CAROL: &str = "[1978344c/84h/1h/0h]tpubDDBjPvTVupQEMhTxYFKV5oa43FbuVgJUp8nBr7KeggnHvNEFSLeuikT9oYSW7y9YXvjDtcWXkePhCk8s35A8qjWnTAopuiNmMxca8VHexau";

/// A point from Bitcoin Core's descriptor tests, in its three spellings.
const COMPRESSED: &str = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd";
const UNCOMPRESSED: &str = "04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235";
const X_ONLY: &str = "a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd";

/// The text with A, B and C replaced by accounts, and K, U and X by the compressed, uncompressed
/// and x-only spelling of one point.
fn filled(template: &str) -> String {
    template
        .chars()
        .map(|c| match c {
            'A' => ALICE.to_owned(),
            'B' => BOB.to_owned(),
            'C' => CAROL.to_owned(),
            'K' => COMPRESSED.to_owned(),
            'U' => UNCOMPRESSED.to_owned(),
            'X' => X_ONLY.to_owned(),
            other => other.to_string(),
        })
        .collect()
}

fn keychain(text: &str, network: NetworkKind) -> Keychain {
    Keychain::parse(text, network).unwrap_or_else(|error| panic!("{error}: {text:.200}"))
}

fn scripts(keychain: &Keychain, index: u32) -> Vec<String> {
    let mut scripts = Vec::new();
    keychain.scripts(index, &mut scripts).unwrap();
    assert_eq!(scripts.len(), keychain.scripts_per_index());
    scripts.iter().map(|script| script.to_hex_string()).collect()
}

/// The scripts of plain `miniscript`.
fn oracle(text: &str, index: u32) -> Vec<String> {
    let descriptor = Descriptor::<DescriptorPublicKey>::from_str(text).unwrap();
    vec![descriptor.at_derivation_index(index).unwrap().script_pubkey().to_hex_string()]
}

#[test]
fn scripts_of_bitcoin_cores_wallets_are_derived() {
    let pkh = "pkh([44486522/44h/1h/0h]tpubDDruVWrfJDiZYBDmrKKQnmESXxatNskMSPpVkuNgSi9uRK9pnHu8PybL3UehSeRCt3nfqK6VC7hNUniFvfaunjnUJHmAVRzg2Axa4L1oi1z/0/*)#sca9yega";
    let sh_wpkh = "sh(wpkh([44486522/49h/1h/0h]tpubDDAASHd19WRYSRqBY5RULZk2x49GVTF9JWzuZ41VTzL32DHAGPLL81LHANS9M6xHkuGSwpXdJHtXVoEU2ygcaiaWgZktRQCzBFhUbSe2Ycv/0/*))#c0tu6r2p";
    let tr = "tr([44486522/86h/1h/0h]tpubDCvqYvaH1QLPsQSyYVbRo4BtRzTu26JKS19cPcj6d7hJ8pEPTwiM2o79cHMsjRV8sYpCUdufXLafNbANLRw5zvpngXme7G2cbAu5KiLp5eq/0/*)#rf2eag03";
    let wpkh = filled("wpkh(A/0/*)#5zxw7edh");
    let vault = filled("wsh(sortedmulti(2,A/40/*,B/40/*,C/40/*))#jct9m6hs");
    let leafy = filled("tr(A/50/*,{pk(B/50/*),and_v(v:pk(C/50/*),older(10))})#84p720j2");
    let coins = [
        (pkh, 64, "76a9147dd025e660783d5151ca1499cd57af3f7dea6ae288ac"),
        (sh_wpkh, 110, "a91463be4e3344afa2399f48a7b956d290b8ccd5ca2887"),
        (tr, 119, "51209d738f4dfe833ec01412ca46707d5879b12fbd6d51f65b1a8f4a5267fdba531d"),
        (&wpkh, 79, "00146b5a1f4f66b9f7a88118c7d6fd45527b4d3a3bb0"),
        (&vault, 290, "002048205ad330e4d52d72d4ec02d4bbb51e6bd90aeed43b2fe92210dc46d00d4e28"),
        (&leafy, 260, "512008e10a2b2aafc99fa7068eb02f394a2de7fdef9e2915b5a332f45f911ae5bebf"),
    ];
    for (text, index, script) in coins {
        let keychain = keychain(text, Test);
        assert_eq!(scripts(&keychain, index), [script], "{text}");
        assert_eq!(keychain.to_string(), text);
        assert!(keychain.is_ranged());
    }
}

#[test]
fn vectors_published_with_the_bips_are_derived() {
    // BIP 84 and 86, the account keys of the mnemonic "abandon .. about", first receiving address.
    let bip84 = "wpkh(xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V/0/*)";
    assert_eq!(scripts(&keychain(bip84, Main), 0), ["0014c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2"]);
    let bip86 = "tr(xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ/0/*)";
    let address = keychain("addr(bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr)", Main);
    assert_eq!(scripts(&keychain(bip86, Main), 0), scripts(&address, 0));
    // BIP 385.
    assert_eq!(scripts(&keychain("raw(deadbeef)#89f8spxm", Main), 0), ["deadbeef"]);
    // BIP 384.
    let [p2pk, p2pkh, p2wpkh, p2sh] = [
        "2103a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bdac",
        "76a9149a1c78a507689f6f54b847ad1cef1e614ee23f1e88ac",
        "00149a1c78a507689f6f54b847ad1cef1e614ee23f1e",
        "a91484ab21b1b2fd065d4504ff693d832434b6108d7b87",
    ];
    assert_eq!(scripts(&keychain(&filled("combo(K)"), Main), 0), [p2pk, p2pkh, p2wpkh, p2sh]);
    // Not from a BIP: the key is the output key itself, in any spelling.
    for spelling in ["rawtr(K)", "rawtr(X)"] {
        assert_eq!(scripts(&keychain(&filled(spelling), Main), 0), [format!("5120{X_ONLY}")]);
    }
}

#[test]
fn a_combo_of_an_uncompressed_key_has_no_segwit_scripts() {
    let combo = keychain(&filled("combo(U)"), Main);
    let expected = [oracle(&filled("pk(U)"), 0), oracle(&filled("pkh(U)"), 0)].concat();
    assert_eq!(scripts(&combo, 0), expected);
}

#[test]
fn a_ranged_combo_is_four_descriptors_at_once() {
    let combo = keychain(&filled("combo(A/1/*)"), Test);
    let parts = ["pk(A/1/*)", "pkh(A/1/*)", "wpkh(A/1/*)", "sh(wpkh(A/1/*))"];
    for index in [0, 7, (1 << 31) - 1] {
        assert_eq!(scripts(&combo, index), parts.map(|part| oracle(&filled(part), index).concat()));
    }
}

#[test]
fn sortedmulti_outside_of_sh_sorts_its_keys() {
    let (multi, sorted) = (filled("multi(1,K,A/*)"), filled("sortedmulti(1,A/*,K)"));
    let script = scripts(&keychain(&sorted, Test), 3).concat();
    let other = scripts(&keychain(&filled("multi(1,A/*,K)"), Test), 3).concat();
    assert_eq!(script, scripts(&keychain(&multi, Test), 3).concat().min(other));
}

#[test]
fn uncompressed_keys_are_sorted_last_as_bitcoin_core_sorts_them() {
    // 04.. is above both 02.. and 03.., although this point's compressed form is below ALICE's at
    // some index.
    let script = |index| scripts(&keychain(&filled("sortedmulti(1,U,A/*)"), Test), index).concat();
    assert!((0..8).all(|index| script(index).contains(&format!("41{UNCOMPRESSED}52ae"))));
}

#[test]
fn the_index_is_ignored_where_nothing_is_ranged() {
    for text in ["wpkh(A/0/5)", "raw(00)", "combo(K)", "sh(multi(1,A,U))", "tr(X,pk(A))"] {
        let keychain = keychain(&filled(text), Test);
        assert!(!keychain.is_ranged());
        assert_eq!(scripts(&keychain, 0), scripts(&keychain, u32::MAX));
    }
}

#[test]
fn an_address_is_its_script_on_any_test_network() {
    let script = bitcoin::ScriptBuf::from_hex("00146b5a1f4f66b9f7a88118c7d6fd45527b4d3a3bb0").unwrap();
    for network in [bitcoin::Network::Regtest, bitcoin::Network::Signet] {
        let address = bitcoin::Address::from_script(&script, network).unwrap();
        assert_eq!(scripts(&keychain(&format!("addr({address})"), Test), 0), [script.to_hex_string()]);
    }
}

#[test]
fn an_index_beyond_the_unhardened_ones_is_an_error_and_adds_nothing() {
    let keychain = keychain(&filled("wpkh(A/0/*)"), Test);
    let mut scripts = Vec::new();
    assert_eq!(keychain.scripts(1 << 31, &mut scripts), Err(DeriveError::IndexTooLarge { index: 1 << 31 }));
    assert!(scripts.is_empty());
    keychain.scripts((1 << 31) - 1, &mut scripts).unwrap();
    assert_eq!(scripts.len(), 1);
}

#[test]
fn keychains_can_be_shared_between_threads() {
    fn assert_shared<T: Send + Sync + Clone>() {}
    assert_shared::<Keychain>();
}

#[test]
fn a_multipath_descriptor_expands_into_its_paths_in_order() {
    for form in ["wpkh(A/<>/*)", "combo(A/<>/*)", "rawtr(A/<>)", "wsh(sortedmulti(2,A/<>/*,B/7/*,C/<>/*))"] {
        let multipath = filled(&form.replace("<>", "<0;1;5>"));
        let singles = expand(&multipath).unwrap();
        let by_hand = ["0", "1", "5"].map(|path| keychain(&filled(&form.replace("<>", path)), Test).to_string());
        assert_eq!(singles, by_hand);
        assert_eq!(Keychain::parse(&multipath, Test).unwrap_err(), DescriptorError::Multipath { paths: 3 });
    }
}

#[test]
fn a_descriptor_of_one_path_expands_to_itself_with_its_checksum() {
    assert_eq!(expand("raw(deadbeef)").unwrap(), ["raw(deadbeef)#89f8spxm"]);
    assert_eq!(expand("raw(deadbeef)#89f8spxm").unwrap(), ["raw(deadbeef)#89f8spxm"]);
    assert_eq!(expand(&filled("wpkh(A/0/*)")).unwrap(), [filled("wpkh(A/0/*)#5zxw7edh")]);
}

#[test]
fn a_multipath_descriptor_expands_as_miniscript_expands_it() {
    let text = filled("tr(A/<0;1>/*,{pk(B/<3;2>/*),and_v(v:pk(C/*),older(10))})");
    let descriptors = Descriptor::<DescriptorPublicKey>::from_str(&text).unwrap().into_single_descriptors().unwrap();
    let ours = expand(&text).unwrap();
    assert_eq!(ours.len(), descriptors.len());
    for (ours, theirs) in ours.iter().zip(descriptors) {
        assert_eq!(scripts(&keychain(ours, Test), 9), oracle(&theirs.to_string(), 9));
    }
}

/// Forms that plain `miniscript` has too. P, Q and R are keys, T is a threshold.
const FORMS: &[&str] = &[
    "pk(P)",
    "pkh(P)",
    "wpkh(P)",
    "sh(wpkh(P))",
    "sh(pkh(P))",
    "tr(P)",
    "multi(T,P,Q,R)",
    "sh(multi(T,P,Q,R))",
    "sh(sortedmulti(T,P,Q,R))",
    "wsh(sortedmulti(T,P,Q,R))",
    "sh(wsh(sortedmulti(T,P,Q,R)))",
    "wsh(multi(T,P,Q,R))",
    "sh(wsh(multi(T,R,Q,P)))",
    "wsh(or_d(pk(P),and_v(v:pkh(Q),older(144))))",
    "wsh(andor(pk(P),after(8),and_v(v:pk(Q),hash160(6666666666666666666666666666666666666666))))",
    "tr(P,pk(Q))",
    "tr(P,{pk(Q),pk(R)})",
    "tr(P,{{pkh(Q),multi_a(T,P,Q,R)},pk(R)})",
    "tr(P,{pk(Q),{and_v(v:pk(R),older(8)),{pk(P),pk(R)}}})",
];

/// An extended public key of a random seed, with a random path to its children.
fn any_key() -> impl Strategy<Value = String> {
    (any::<[u8; 32]>(), prop_oneof![Just(""), Just("/5"), Just("/*"), Just("/0/*"), Just("/2147483647/1/*")]).prop_map(
        |(seed, path)| {
            let key = Xpub::from_priv(&Secp256k1::new(), &Xpriv::new_master(Test, &seed).unwrap());
            format!("{key}{path}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_form_derives_what_miniscript_derives_one_index_at_a_time(
        form in prop::sample::select(FORMS), keys in [any_key(), any_key(), any_key()], threshold in 1u8..=3,
        index in 0u32..1 << 31
    ) {
        let text: String = form.chars().map(|c| match c {
            'P' => keys[0].clone(),
            'Q' => keys[1].clone(),
            'R' => keys[2].clone(),
            'T' => threshold.to_string(),
            other => other.to_string(),
        }).collect();
        let keychain = Keychain::parse(&text, Test).unwrap();
        prop_assert_eq!(scripts(&keychain, index), oracle(&text, index));
        let again = Keychain::parse(&keychain.to_string(), Test).unwrap();
        prop_assert_eq!(scripts(&again, index), oracle(&text, index));
    }

    #[test]
    fn a_child_is_that_of_bip_32(seed: [u8; 32], steps in prop::collection::vec(0u32..1 << 31, 0..4), index in 0u32..1 << 31) {
        let secp = Secp256k1::new();
        let key = Xpub::from_priv(&secp, &Xpriv::new_master(Main, &seed).unwrap());
        let path: String = steps.iter().map(|step| format!("/{step}")).collect();
        let mut child = key;
        for step in steps.iter().chain([&index]) {
            child = child.ckd_pub(&secp, ChildNumber::from_normal_idx(*step).unwrap()).unwrap();
        }
        let ours = keychain(&format!("pk({key}{path}/*)"), Main);
        prop_assert_eq!(scripts(&ours, index), [format!("21{}ac", child.public_key)]);
    }
}
