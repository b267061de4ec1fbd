//! Malicious text, and text that must not be repeated.
//!
//! The private keys here are published: those of Bitcoin Core's descriptor tests, of BIP 32's
//! vectors, and a point's order less one.

use bitcoin::NetworkKind::{Main, Test};

use super::*;

const PRIVATE_KEYS: &[&str] = &[
    "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1",
    "5KYZdUEo39z3FPrtuX2QbbwGnNP5zTd7yyr2SC1j299sBCnWjss",
    "cTpB4YiyKiBcPxnefsDpbnDxFDffjqJob8wGCEDXxgQ7zQoMXJdH",
    "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
    "tprv8ZgxMBicQKsPd7Uf69XL1XwhmjHopUGep8GuEiJDZmbQz6o58LninorQAfcKZWARbtRtfnLcJ5MQ2AtHcQJCCRUcMRvmDUjyEmNUWwx8UbK",
];

/// Texts with `secret` in places where a parser might quote it.
fn around(secret: &str) -> Vec<String> {
    let mistyped = format!("{}1{}", &secret[..20], &secret[21..]);
    let cut = &secret[..secret.len() - 1];
    let mut texts = vec![secret.to_owned(), format!("raw(00)#{secret}"), format!("{secret}(00)"), format!("({secret}")];
    for key in [secret, &mistyped, cut] {
        for form in ["pkh(_)", "combo(_)", "tr(_)", "rawtr(_)", "wsh(multi(1,_,_))", "addr(_)", "raw(_)", "_:pk(_)"] {
            texts.push(form.replace('_', key));
        }
        texts.push(format!("wpkh([00000000/84h]{key}/0/*)#00000000"));
        texts.push(format!("wsh(older({key}))"));
        texts.push(format!("wpkh({key}\u{e9})"));
        texts.push(filled("tr(X,{pk(X),pk(_)})").replace('_', key));
    }
    texts
}

#[test]
fn private_keys_are_refused_and_never_repeated() {
    for secret in PRIVATE_KEYS {
        for text in around(secret) {
            for error in
                [Keychain::parse(&text, Test).unwrap_err(), expand(&text).unwrap_err(), interpret(&text).unwrap_err()]
            {
                let (shown, debug) = (error.to_string(), format!("{error:?}"));
                for piece in secret.as_bytes().windows(6) {
                    let piece = std::str::from_utf8(piece).unwrap();
                    assert!(!shown.contains(piece) && !debug.contains(piece), "{piece} of {text} in {debug}");
                }
                assert!(std::error::Error::source(&error).is_none());
            }
        }
    }
}

#[test]
fn mistyped_private_keys_are_refused_as_such() {
    for secret in PRIVATE_KEYS {
        let mistyped = format!("{}1{}", &secret[..20], &secret[21..]);
        for key in [*secret, &mistyped] {
            let error = Keychain::parse(&format!("wpkh([00000000/84h]{key})"), Main).unwrap_err();
            assert_eq!(error, DescriptorError::PrivateKey { position: 19 });
        }
    }
}

/// Runs on a thread's default stack.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn nesting_is_refused_before_it_overflows_the_stack() {
    let nested = [("or_i(0,", ")"), ("thresh(1,", ")"), ("and_v(v:pk(K),", ")"), ("andor(pk(K),1,", ")"), ("n", ":")];
    for (open, close) in nested {
        for depth in [NESTING_MAX - 4, NESTING_MAX, 20_000] {
            on_a_small_stack(move || {
                let text = if close == ":" {
                    filled(&format!("wsh({}:pk(K))", open.repeat(depth)))
                } else {
                    filled(&format!("wsh({}pk(K){})", open.repeat(depth), close.repeat(depth)))
                };
                let result = Keychain::parse(&text, Test);
                assert_eq!(
                    depth < NESTING_MAX,
                    !matches!(result, Err(DescriptorError::TooDeep { .. } | DescriptorError::TooLong { .. }))
                );
            });
        }
    }
}

#[test]
fn a_tree_may_be_as_deep_as_consensus_allows_and_no_deeper() {
    let tree = |depth: usize| {
        let leaf = format!("{}pk(K){}", "or_i(0,".repeat(NESTING_MAX - 5), ")".repeat(NESTING_MAX - 5));
        filled(&format!("tr(X,{}{leaf}{})", "{pk(K),".repeat(depth), "}".repeat(depth)))
    };
    on_a_small_stack(move || {
        let text = tree(TREE_DEPTH_MAX);
        assert_eq!(scripts(&keychain(&text, Test), 0), oracle(&text, 0));
    });
    let error = Keychain::parse(&tree(TREE_DEPTH_MAX + 1), Test).unwrap_err();
    assert!(matches!(error, DescriptorError::TooDeep { max: TREE_DEPTH_MAX, .. }), "{error}");
    let bomb = filled(&format!("tr(X,{}", "{".repeat(50_000)));
    assert!(matches!(Keychain::parse(&bomb, Test), Err(DescriptorError::TooDeep { .. })));
}

#[test]
fn a_key_at_the_end_of_its_depth_is_refused_where_rust_bitcoin_would_fail() {
    use bitcoin::bip32::Xpub;
    let mut key = Xpub::from_str(ALICE.split(']').nth(1).unwrap()).unwrap();
    key.depth = 255;
    assert!(Keychain::parse(&format!("wpkh({key})"), Test).is_ok());
    for path in ["/0", "/*"] {
        let error = Keychain::parse(&format!("wpkh({key}{path})"), Test).unwrap_err();
        assert!(matches!(error, DescriptorError::BadKey { .. }), "{error}");
    }
}

#[test]
fn the_longest_descriptors_are_compiled() {
    let keys: Vec<String> = (0..450).map(|index| format!("{ALICE}/{index}")).collect();
    let text = format!("tr({X_ONLY},multi_a(1,{}))", keys.join(","));
    assert!(text.len() <= DESCRIPTOR_BYTES_MAX);
    assert_eq!(scripts(&keychain(&text, Test), 0), oracle(&text, 0));
}

/// Every operation on text.
fn put_through(text: &str) {
    for network in [Main, Test] {
        if let Ok(keychain) = Keychain::parse(text, network) {
            scripts(&keychain, 5);
            assert_eq!(scripts(&Keychain::parse(&keychain.to_string(), network).unwrap(), 1), scripts(&keychain, 1));
        }
    }
    let interpreted = interpret(text);
    if let Ok(branches) = expand(text) {
        let interpreted = interpreted.as_ref().unwrap();
        assert_eq!((&interpreted.branches, &interpreted.meaning), (&branches, &None));
    }
    if let Ok(Interpreted { branches, meaning: Some(meaning), .. }) = interpreted {
        assert_eq!(expand(&meaning), Ok(branches));
    }
    if let Some(whole) = spelled_out(text) {
        assert!(expand(&whole).is_ok() && interpret(text) == Err(DescriptorError::BareKey));
    }
    for single in expand(text).unwrap_or_default() {
        assert!(Keychain::parse(&single, Main).is_ok() || Keychain::parse(&single, Test).is_ok(), "{single}");
    }
}

/// Valid descriptors of every form.
fn valid() -> impl Strategy<Value = String> {
    let own = [
        "addr(bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr)",
        "raw(deadbeef)#89f8spxm",
        "combo(A/<0;1>/*)",
        "rawtr(A/*)",
        "sortedmulti(1,U,A/*,K)",
        "wpkh(A/0/*)#5zxw7edh",
        "sh(wsh(pk(K)))",
        "wpkh(A/<0;1>/*)?bh=890000&gl=20",
        "A",
        "K",
        "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs/0",
        "wpkh(zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs/*)",
        "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
    ];
    let forms: Vec<String> = FORMS
        .iter()
        .copied()
        .chain(own)
        .map(|form| {
            if form.contains("zpub") || form.starts_with("bc1") {
                form.to_owned()
            } else {
                filled(&form.replace('P', "A/<0;1>/*").replace('Q', "K").replace('R', "B/3").replace('T', "2"))
            }
        })
        .collect();
    prop::sample::select(forms)
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        put_through(&text);
    }

    #[test]
    fn no_text_in_the_language_of_descriptors_makes_it_panic(
        text in "((wsh|sh|tr|pk|multi|thresh|addr|raw|combo|v:|sn:|\\?bh=|&gl=|zpub|bc1|xpub|tpub|<0;1>|\\[00000000/|[0-9a-f]{2}|[(){},*/'h:#<>;\\[\\] ]){1,12}){1,4}"
    ) {
        put_through(&text);
    }

    #[test]
    fn no_change_to_a_valid_descriptor_makes_it_panic(
        text in valid(), cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()), with in "[ -~]{0,3}",
        repeated in 0usize..3
    ) {
        let (a, b) = (cuts.0.index(text.len()), cuts.1.index(text.len()));
        let (from, to) = (a.min(b), a.max(b));
        put_through(&format!("{}{with}{}", &text[..from], &text[to..]));
        put_through(&format!("{}{with}{}", &text[..from], &text[(from + 1).min(text.len())..]));
        put_through(&format!("{}{}{}", &text[..from], text[from..to].repeat(repeated), &text[to..]));
    }
}
