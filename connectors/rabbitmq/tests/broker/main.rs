//! The source against a real RabbitMQ.
//!
//! Each module is a promise: what is delivered, what arrives of it, how it starts, how it ends, what it gives back.

mod arrive;
mod deliver;
mod end;
mod give_back;
mod set_up;
mod support;
mod tls;
