//! The source against a real RabbitMQ.
//!
//! Each module is a promise: what is delivered, what arrives of it, how it starts, how it ends, what it gives back,
//! how much is on its way, how it is held, what is rejected, what waits, where a stream goes on, what is shared.

mod arrive;
mod conformance;
mod deliver;
mod depth;
mod end;
mod escape;
mod give_back;
mod reject;
mod renewal;
mod set_up;
mod sharing;
mod sink;
mod stream;
mod support;
mod suspend;
mod tls;
mod window;
