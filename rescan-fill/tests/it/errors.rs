//! Every failure of the conversation is told apart, and the same fill goes on after it.

use rescan_fill::{CoreWallet, FillError};
use rescan_fixtures::fake_node::Reply;
use rescan_fixtures::fake_wallet::refusal;
use rescan_node::{ListedDescriptor, RpcError, Timestamp};

use crate::bed::{Bed, KIND};

/// The error of a fill whose second rescan is answered like this; the fill ends equal afterwards.
fn error_of(reply: Reply) -> FillError {
    let bed = Bed::paying(&[0, 1, 2]);
    let mut calls = 0;
    bed.wallet.before_each_call(move |_, method, _| {
        calls += i32::from(method == "rescanblockchain");
        (calls == 2 && method == "rescanblockchain").then(|| reply.clone())
    });
    let error = bed.fill().result.unwrap_err();
    bed.wallet.before_each_call(|_, _, _| None);
    assert!(bed.fill().result.unwrap().is_equal(), "after {error}");
    assert_eq!(bed.wallet.lock().confirmed, bed.truth());
    error
}

#[test]
fn a_wallet_locked_in_the_middle_is_named() {
    assert!(matches!(error_of(refusal::LOCKED), FillError::Locked { name } if name == "alice"));
}

#[test]
fn a_wallet_unloaded_in_the_middle_is_named_with_those_that_are_loaded() {
    let error = error_of(refusal::NOT_LOADED);
    assert!(
        matches!(error, FillError::NoWallet { name, loaded, on_disk: true } if name == "alice" && loaded == ["alice"])
    );
}

#[test]
fn a_rescan_of_another_program_is_told() {
    assert!(matches!(error_of(refusal::RESCANNING), FillError::Scanning { .. }));
}

#[test]
fn a_wallet_that_is_being_unloaded_is_not_taken_for_one_that_scans() {
    let bed = Bed::paying(&[0]);
    let mut is_gone = false;
    bed.wallet.before_each_call(move |_, method, _| match method {
        "rescanblockchain" => {
            is_gone = true;
            Some(refusal::RESCANNING)
        }
        "getwalletinfo" if is_gone => Some(refusal::NOT_LOADED),
        _ => None,
    });
    assert!(matches!(bed.fill().result.unwrap_err(), FillError::NoWallet { name, .. } if name == "alice"));
}

#[test]
fn a_rescan_that_another_program_stops_is_told() {
    assert!(matches!(error_of(refusal::ABORTED), FillError::Aborted { .. }));
}

#[test]
fn a_node_that_goes_away_is_told() {
    assert!(matches!(error_of(Reply::Raw("")), FillError::Node(RpcError::NoAnswer { method: "rescanblockchain", .. })));
}

#[test]
fn an_answer_that_is_no_json_rpc_is_told() {
    let error = error_of(Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
    assert!(matches!(error, FillError::Node(RpcError::NotRpc { .. })), "{error}");
}

#[test]
fn a_locked_wallet_is_refused_before_the_scan() {
    let bed = Bed::paying(&[0]);
    bed.wallet.lock().locked = Some(true);
    let filled = bed.fill();
    assert!(matches!(filled.result.unwrap_err(), FillError::Locked { .. }));
    assert!(filled.events.is_empty());
    bed.wallet.lock().locked = Some(false);
    assert!(bed.fill().result.unwrap().is_equal());
}

#[test]
fn a_wallet_that_is_scanning_is_refused_before_the_scan() {
    let bed = Bed::paying(&[0]);
    bed.wallet.before_each_call(|_, method, _| {
        let scanning = serde_json::json!({"private_keys_enabled": false, "scanning": {"duration": 3, "progress": 0.5}});
        (method == "getwalletinfo").then(|| Reply::json(&scanning))
    });
    let filled = bed.fill();
    assert!(matches!(filled.result.unwrap_err(), FillError::Scanning { .. }));
    assert!(filled.events.is_empty());
}

#[test]
fn a_wallet_without_descriptors_is_told() {
    let bed = Bed::paying(&[0]);
    bed.wallet.lock().descriptors.clear();
    assert!(matches!(bed.fill().result.unwrap_err(), FillError::NoDescriptors { .. }));
}

#[test]
fn a_wallet_from_before_descriptors_is_told() {
    let bed = Bed::paying(&[0]);
    bed.wallet.before_each_call(|_, method, _| {
        let legacy = serde_json::json!({"private_keys_enabled": true, "scanning": false, "descriptors": false});
        (method == "getwalletinfo").then(|| Reply::json(&legacy))
    });
    assert!(matches!(bed.core_wallet().unwrap_err(), FillError::LegacyWallet { .. }));
}

fn given(desc: String) -> ListedDescriptor {
    ListedDescriptor {
        desc,
        timestamp: Timestamp::Seconds(1),
        active: false,
        internal: None,
        range: None,
        next_index: None,
        label: None,
    }
}

#[test]
fn a_wallet_with_private_keys_takes_no_new_descriptor_and_is_asked_for_none() {
    let bed = Bed::paying(&[0]);
    bed.wallet.lock().has_private_keys = true;
    let wallet = bed.core_wallet().unwrap();
    let (known, new) = (given(bed.owner.descriptor(KIND)), given("addr(bcrt1q)".to_owned()));
    assert_eq!(wallet.import(std::slice::from_ref(&known)).unwrap(), 0);
    assert!(matches!(wallet.import(&[known, new]).unwrap_err(), FillError::PrivateKeysEnabled { number: 1, .. }));
    assert!(!bed.node.was_called("importdescriptors"));
}

#[test]
fn a_refused_descriptor_is_named_by_its_position() {
    let bed = Bed::paying(&[0]);
    bed.wallet.before_each_call(|_, method, _| {
        let results = serde_json::json!([
            {"success": true}, {"success": false, "error": {"code": -5, "message": "not valid"}}
        ]);
        (method == "importdescriptors").then(|| Reply::json(&results))
    });
    let wallet = bed.core_wallet().unwrap();
    let error = wallet.import(&[given("a".to_owned()), given("b".to_owned())]).unwrap_err();
    assert!(matches!(error, FillError::Import { number: 1, code: -5, message } if message == "not valid"));
}

#[test]
fn an_import_whose_rescan_was_stopped_is_an_import() {
    let bed = Bed::paying(&[0]);
    bed.wallet.before_each_call(|wallet, method, params| {
        (method == "importdescriptors").then(|| {
            let desc = params[0][0]["desc"].as_str().unwrap();
            wallet.descriptors.push(rescan_fixtures::fake_wallet::FakeDescriptor::new(desc, 1));
            Reply::Error(-1, "Rescan aborted by user.")
        })
    });
    let wallet = bed.core_wallet().unwrap();
    assert_eq!(wallet.import(&[given("a".to_owned())]).unwrap(), 1);
}

#[test]
fn a_wallet_that_exists_is_not_created_again() {
    let bed = Bed::paying(&[0]);
    bed.wallet.before_each_call(|_, method, _| {
        (method == "createwallet")
            .then_some(Reply::Error(-4, "Wallet file verification failed. Database already exists."))
    });
    let error = CoreWallet::create(&bed.rpc(), "alice").unwrap_err();
    assert!(matches!(error, FillError::WalletExists { name } if name == "alice"));
}
