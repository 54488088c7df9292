//! What the fuzz targets do with their bytes. A target panics when something does not hold; that is all a fuzzer needs.
//!
//! | target | input | what must hold |
//! |---|---|---|
//! | `amqp_message` | properties and headers as on the wire | every message converts, and comes back from Kafka headers bit for bit |
//! | `config` | a YAML file | loading never panics, says the same twice, and shows no secret |
//! | `json_edit` | operations, an empty line, a body | the `json` transform does what a plain model of it does |
//! | `json_pick` | a path, a line break, a body | picking one field finds what a whole parse finds |
//! | `quantity` | a duration or a size | the value is right, and what is written reads back |
//! | `rabbitmq_envelope` | a body | it is an envelope or a reason why not, and what is unwrapped survives another round |
//! | `template` | a template, a line break, a body | parsing and rendering agree with a plain model |
//! | `transform` | `NAME OPTIONS`, a line break, a body | `check` and `create` agree, no record is lost, no reason quotes a value |
//! | `typed_headers` | `name=value` lines, an empty line, `gantry.types` | foreign bytes never panic; what decodes survives another round |
//!
//! Inputs are text where they can be, so that seeds can be read and written by hand: `corpus-seeds/TARGET/`.

mod amqp_message;
mod config;
mod input;
mod json_edit;
mod json_pick;
mod quantity;
mod rabbitmq_envelope;
mod template;
mod transform;
mod typed_headers;

/// One target: its name, which is that of its binary and of its folder of seeds, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("amqp_message", amqp_message::run),
    ("config", config::run),
    ("json_edit", json_edit::run),
    ("json_pick", json_pick::run),
    ("quantity", quantity::run),
    ("rabbitmq_envelope", rabbitmq_envelope::run),
    ("template", template::run),
    ("transform", transform::run),
    ("typed_headers", typed_headers::run),
];

/// Runs the body of that target.
///
/// # Panics
/// When there is no such target, and when the body found something.
pub fn run(name: &str, data: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target of the list");
    body(data);
}
