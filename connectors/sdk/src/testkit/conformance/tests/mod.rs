//! The kit on a source and a sink in memory: right ones pass, and each flaw is found by the check that is there for it.

mod memory_sink;
mod memory_source;
mod order_of_calls;
mod sink_flaws;
mod source_flaws;

/// A source that keeps all promises.
mod right_source {
    use super::memory_source::Memory;

    crate::source_conformance!(Memory::right());
}

/// A source whose broker keeps nothing.
mod forgetful_source {
    use super::memory_source::Memory;

    crate::source_conformance!(Memory::forgetful());
}

/// A sink that keeps all promises.
mod right_sink {
    use super::memory_sink::Memory;

    crate::sink_conformance!(Memory::right());
}
