//! The verdicts of a real node on descriptors, and ours beside them.
//!
//! Answers of `getdescriptorinfo`, Bitcoin Core v31.99 on regtest. A, B and C are accounts with
//! their origin, ~ is A without it, K, U and X one point in its spellings, $ a hash of 32 bytes and
//! % one of 20.

use super::*;

/// Accepted by Core.
const CORE_ACCEPTS: &[&str] = &[
    "pk(K)",
    "pk(U)",
    "pkh(A/0/*)",
    "pkh(U)",
    "wpkh(A/0/*)",
    "wpkh(A/<0;1>/*)",
    "wpkh(A/*h)",
    "wpkh(A/0h/*)",
    "wpkh(A/01/*)",
    "wpkh(A/2147483647/*)",
    "wpkh([deadbeef]K)",
    "wpkh([deadbeef/0h/1']K)",
    "wpkh([deadbeef/0]K)",
    "sh(pk(K))",
    "sh(pkh(U))",
    "sh(wpkh(K))",
    "sh(wsh(pk(K)))",
    "sh(wsh(pkh(K)))",
    "multi(1,K,A/*)",
    "multi(2,K,A/*,B/*)",
    "multi(1,K,K)",
    "multi(01,K)",
    "sortedmulti(1,U,K,A/*)",
    "sh(multi(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "sh(multi(1,U,U,U,U,U,U,U))",
    "sh(sortedmulti(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "sh(sortedmulti(1,U,U,U,U,U,U,U))",
    "wsh(multi(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "wsh(sortedmulti(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "wsh(multi(1,K,K))",
    "wsh(sortedmulti(1,K,K))",
    "wsh(c:pk_k(K))",
    "wsh(c:pk_h(K))",
    "wsh(l:pk(K))",
    "wsh(and_v(v:pk(A/*),older(144)))",
    "wsh(and_v(v:pk(A/*),older(65536)))",
    "wsh(and_v(v:pk(A/*),older(2147483647)))",
    "wsh(and_v(v:pk(A/*),older(01)))",
    "wsh(and_v(v:pk(A/*),after(2147483647)))",
    "wsh(and_v(v:pk(A/0/*),pk(A/1/*)))",
    "wsh(and_v(v:pk(A/<0;1>/*),pk(A/<2;3>/*)))",
    "wsh(and_v(v:pk(A/<0;1>/*),pk(A/1/*)))",
    "wsh(and_v(v:pk(K),sha256($)))",
    "wsh(and_v(v:sha256($),pk(K)))",
    "wsh(and_b(pk(K),s:pk(A/*)))",
    "wsh(and_b(sha256($),s:pk(A/*)))",
    "wsh(or_b(pk(K),s:pk(A/*)))",
    "wsh(or_d(pk(A/*),and_v(v:pkh(B/*),older(144))))",
    "wsh(or_i(and_v(v:pk(A/*),older(144)),and_v(v:pk(B/*),older(4194305))))",
    "wsh(and_v(and_v(v:pk(A/*),v:after(144)),older(4194305)))",
    "wsh(thresh(2,pk(A/*),s:pk(B/*),sln:older(144)))",
    "wsh(thresh(3,pk(A/*),s:pk(B/*),s:pk(C/*)))",
    "wsh(andor(pk(A/*),older(144),pk(B/*)))",
    "wsh(andor(pk(A/*),after(8),and_v(v:pk(B/*),hash160(%))))",
    "wsh(and_n(pk(A/*),and_b(pk(B/*),a:pk(C/*))))",
    "wsh(t:or_c(pk(A/*),v:pk(B/*)))",
    "wsh(t:or_c(pk(A/*),and_v(v:pk(B/*),v:older(144))))",
    "wsh(andor(pk(A/*),0,pk(B/*)))",
    "wsh(or_i(0,pk(A/*)))",
    "wsh(and_v(v:pk(A/*),1))",
    "wsh(j:and_v(v:hash160(%),pk(A/*)))",
    "wsh(or_d(multi(1,K,A/*),and_v(v:pkh(B/*),older(144))))",
    "wsh(and_v(v:hash256($),and_v(v:ripemd160(%),pk(A/*))))",
    "wsh(sortedmulti(2,A/<0;1>/*,B/<0;1>/*))",
    "sh(wsh(and_v(v:pk(A/*),older(144))))",
    "tr(X)",
    "tr(K)",
    "tr(A/<0;1>/*)",
    "tr(A/*,pk(B/*))",
    "tr(A/*,pk(A/*))",
    "tr(A/*,{pk(B/*),pk(B/*)})",
    "tr(A/*,pkh(B/*))",
    "tr(A/*,multi_a(1,B/*,C/*))",
    "tr(A/*,multi_a(1,B/*,B/*))",
    "tr(A/*,and_v(v:multi_a(1,B/*,C/*),older(144)))",
    "tr(A/*,and_v(v:pk(B/*),older(144)))",
    "tr(A/*,and_v(v:pk(K),pk(X)))",
    "tr(A/*,or_d(pk(B/*),and_v(v:pk(C/*),older(144))))",
    "tr(A/*,thresh(2,pk(B/*),s:pk(C/*),sdv:older(144)))",
    "rawtr(X)",
    "rawtr(K)",
    "rawtr(A/<0;1>/*)",
    "combo(K)",
    "combo(U)",
    "combo(A/<0;1>/*)",
    "raw(deadbeef)",
    "addr(bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk)",
    "tr(musig(A,B)/0/*)",
    "tr(A/*,sortedmulti_a(1,B/*,C/*))",
    "unused(A)",
];

/// Refused by Core.
const CORE_REFUSES: &[&str] = &[
    "pk(X)",
    "wpkh(A/<0;0>/*)",
    "wpkh(A/<0>/*)",
    "wpkh(A/<0;1>/<0;1>/*)",
    "wpkh(A/*/0)",
    "wpkh(A/)",
    "wpkh(A//0)",
    "wpkh(A/+1/*)",
    "wpkh(A/2147483648/*)",
    "wpkh(U)",
    "wpkh(X)",
    "wpkh(K )",
    "wpkh( K)",
    "wpkh()",
    "wpkh(K/*)",
    "wpkh([1234567890]K)",
    "wpkh([deadbeef/]K)",
    "wpkh([deadbeef/+1]K)",
    "wpkh([deadbee]K)",
    "wpkh(06a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235)",
    "wpkh(pkh(K))",
    "sh(wpkh(U))",
    "sh(sh(pk(K)))",
    "sh(tr(X))",
    "sh(K)",
    "sh(1)",
    "sh(c:pk_k(K))",
    "sh(and_v(v:pk(A/*),pk(B/*)))",
    "sh(or_d(pk(K),pkh(A/*)))",
    "c:pk_k(K)",
    "c:pk_h(K)",
    "v:pk(K)",
    "and_v(v:pk(K),pk(A))",
    "multi(1,K,A/*,B/*,C/*)",
    "multi(0,K)",
    "multi(2,K)",
    "multi(+1,K)",
    "multi(1)",
    "sortedmulti(1,K,K,K,K)",
    "multi_a(1,K)",
    "sh(multi(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "sh(multi(1,U,U,U,U,U,U,U,U))",
    "sh(sortedmulti(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "sh(sortedmulti(1,U,U,U,U,U,U,U,U))",
    "wsh(multi(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "wsh(sortedmulti(1,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K,K))",
    "wsh(multi(1,U))",
    "wsh(multi(1,X))",
    "wsh(multi_a(1,K))",
    "wsh(wpkh(K))",
    "wsh(wsh(pk(K)))",
    "wsh(tr(X))",
    "wsh(K)",
    "wsh(0)",
    "wsh(1)",
    "wsh(pk_k(K))",
    "wsh(v:pk(K))",
    "wsh(older(144))",
    "wsh(after(500))",
    "wsh(sha256($))",
    "wsh(and_v(v:pk(A/*),older(0)))",
    "wsh(and_v(v:pk(A/*),older(2147483648)))",
    "wsh(and_v(v:pk(A/*),after(0)))",
    "wsh(and_v(v:pk(A/*),after(2147483648)))",
    "wsh(and_v(v:pk(A/*),pk(A/*)))",
    "wsh(and_v(v:pk(A/0),pk(~/0)))",
    "wsh(and_v(v:pk(A/<0;1>/*),pk(B/<0;1;2>/*)))",
    "wsh(or_d(pk(A/*),older(144)))",
    "wsh(or_i(pk(A/*),sha256($)))",
    "wsh(or_i(older(144),pk(A/*)))",
    "wsh(and_v(and_v(v:pk(A/*),v:older(144)),older(4194305)))",
    "wsh(and_v(and_v(v:pk(A/*),v:after(144)),after(500000001)))",
    "wsh(thresh(2,pk(A/*),sln:older(144),sln:older(4194305)))",
    "wsh(thresh(1,pk(A/*),sln:older(144),sln:older(4194305)))",
    "wsh(thresh(2,pk(A/*),a:hash160(%),a:pk(B/*)))",
    "wsh(thresh(0,pk(A/*),s:pk(B/*)))",
    "wsh(thresh(4,pk(A/*),s:pk(B/*),s:pk(C/*)))",
    "wsh(andor(older(144),pk(A/*),pk(B/*)))",
    "wsh(and_v(pk(A/*),pk(B/*)))",
    "wsh(or_c(pk(A/*),v:pk(B/*)))",
    "wsh(and_v(v:pk(A/*),0))",
    "wsh(or_d(j:and_v(v:hash160(%),pk(A/*)),pk(B/*)))",
    "wsh(or_b(j:pk(A/*),s:pk(B/*)))",
    "wsh(dv:older(144))",
    "wsh(or_d(multi(1,A/*,A/*),and_v(v:pkh(B/*),older(144))))",
    "wsh(expr_raw_pkh(%))",
    "wsh(c:expr_raw_pkh(%))",
    "wsh(y:pk(K))",
    "wsh(and_v(v:sha256(%),pk(A/*)))",
    "wsh(and_v(v:pk(A/*),sortedmulti(1,B/*)))",
    "sh(wsh(or_i(older(144),pk(A/*))))",
    "tr(U)",
    "tr(A/*,{pk(B/*)})",
    "tr(A/*,wpkh(B/*))",
    "tr(A/*,multi(1,B/*))",
    "tr(A/*,sortedmulti(1,B/*))",
    "tr(A/*,older(144))",
    "tr(A/*,and_v(v:pk(B/*),pk(B/*)))",
    "tr(B/*,and_v(v:pk(A/0),pk(~/0)))",
    "tr(A/*,or_i(older(144),pk(B/*)))",
    "wsh(thresh(2,pk(B/*),s:pk(C/*),sdv:older(144)))",
    "tr(A/*,and_v(and_v(v:pk(B/*),v:older(144)),older(4194305)))",
    "tr(A/*,1)",
    "tr(A/<0;1>/*,pk(B/<0;1;2>/*))",
    "tr()",
    "tr(X,)",
    "rawtr(U)",
    "rawtr(X,pk(X))",
    "combo(X)",
    "sh(combo(K))",
    "raw()",
    "raw(abc)",
    "raw(zz)",
    "addr(n1LKejAadN6hg2FrBXoU1KrwX4uK16mco8)",
    "addr()",
    "addr(bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppx)",
    "unknown(K)",
    "wpkh(K)x",
    "wpkh(K",
    "K",
];

/// Accepted by Core and refused here, for the reasons in the documentation of the module.
const REFUSED_HERE: &[&str] = &[
    "wpkh(A/*h)",
    "wpkh(A/0h/*)",
    "multi(01,K)",
    "wsh(and_v(v:pk(A/*),older(01)))",
    "wsh(and_v(v:pk(A/<0;1>/*),pk(A/1/*)))",
    "tr(A/*,multi_a(1,B/*,B/*))",
    "tr(A/*,thresh(2,pk(B/*),s:pk(C/*),sdv:older(144)))",
    "tr(musig(A,B)/0/*)",
    "tr(A/*,sortedmulti_a(1,B/*,C/*))",
    "unused(A)",
];

fn text(template: &str) -> String {
    let origin_end = ALICE.find(']').unwrap() + 1;
    filled(template).replace('~', &ALICE[origin_end..]).replace('$', &"6".repeat(64)).replace('%', &"6".repeat(40))
}

#[test]
fn bitcoin_cores_verdict_is_ours_except_where_the_module_documents_it() {
    assert!(REFUSED_HERE.iter().all(|template| CORE_ACCEPTS.contains(template)), "an exception is a row of the table");
    let mut wrong = Vec::new();
    for (templates, is_accepted_by_core) in [(CORE_ACCEPTS, true), (CORE_REFUSES, false)] {
        for template in templates {
            let expected = is_accepted_by_core && !REFUSED_HERE.contains(template);
            let ours = interpret(&text(template));
            let is_meaning = matches!(&ours, Ok(Interpreted { meaning: Some(_), .. }));
            if ours.is_ok() != expected || is_meaning {
                wrong.push((*template, ours.err()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reason_is_the_rule_that_core_names() {
    let cases = [
        ("wsh(or_i(older(144),pk(A/*)))", "without a signature"),
        ("wsh(and_v(v:pk(A/0),pk(~/0)))", "same key twice"),
        ("tr(B/*,and_v(v:pk(A/0),pk(~/0)))", "same key twice"),
        ("wsh(thresh(1,pk(A/*),sln:older(144),sln:older(4194305)))", "without a signature"),
        ("wsh(or_b(j:pk(A/*),s:pk(B/*)))", "malleable"),
        ("wsh(and_v(and_v(v:pk(A/*),v:after(144)),after(500000001)))", "mixes lock times"),
        ("sh(and_v(v:pk(A/*),pk(B/*)))", "inside wsh() or a leaf of tr()"),
        ("c:pk_k(K)", "inside wsh() or a leaf of tr()"),
    ];
    for (template, rule) in cases {
        let error = interpret(&text(template)).unwrap_err().to_string();
        assert!(error.contains(rule), "{template}: {error}");
    }
}

#[test]
fn a_multipath_descriptor_is_refused_if_any_of_its_paths_is_not_sane() {
    // Core accepts it, and refuses its second path alone.
    assert!(expand(&text("wsh(and_v(v:pk(A/<0;1>/*),pk(A/2/*)))")).is_ok());
    for template in ["wsh(and_v(v:pk(A/<0;1>/*),pk(A/1/*)))", "tr(B,and_v(v:pk(A/<0;1>/*),pk(~/1/*)))"] {
        let error = expand(&text(template)).unwrap_err();
        assert_eq!(error, DescriptorError::InvalidScript { reason: "not sane: it has the same key twice" });
    }
}
