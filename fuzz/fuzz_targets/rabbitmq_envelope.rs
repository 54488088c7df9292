#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gantry_fuzz::run("rabbitmq_envelope", data));
