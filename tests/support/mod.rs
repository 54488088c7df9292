//! The harness: real brokers, the real binary, and the oracle that judges what arrived. All but the binary is `testbench`'s.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses a part of it")]

pub mod gantry;

pub use gantry_testbench::*;
