#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rescan_fuzz_surfaces::wire(data));
