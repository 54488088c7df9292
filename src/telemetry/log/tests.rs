use std::sync::Mutex;

use super::*;

/// Whether the filter holds that directive.
fn holds(filter: &EnvFilter, directive: &str) -> bool {
    filter.to_string().split(',').any(|own| own == directive)
}

#[test]
fn libraries_are_quieter_than_gantry() {
    let normal = filter(&[], LogLevel::Info, None).expect("a level");
    assert!(holds(&normal, "info") && holds(&normal, "lapin=off"), "{normal}");
    let chatty = filter(&[], LogLevel::Debug, Some("  ")).expect("a level");
    assert!(holds(&chatty, "debug") && holds(&chatty, "librdkafka=warn"), "{chatty}");
    let silent = filter(&[], LogLevel::Off, None).expect("a level");
    assert!(holds(&silent, "off") && holds(&silent, "rdkafka=off"), "{silent}");
}

#[test]
fn the_variable_overrides_everything() {
    let filter = filter(&[], LogLevel::Info, Some("warn,lapin=trace")).expect("directives");
    assert!(holds(&filter, "lapin=trace") && holds(&filter, "warn") && !holds(&filter, "info"), "{filter}");
}

#[test]
fn a_bad_filter_says_where_it_came_from() {
    let error = filter(&[], LogLevel::Info, Some("gantry=loud")).expect_err("no such level");
    assert!(error.to_string().starts_with("reading the log level from GANTRY_LOG: "), "{error}");
}

#[test]
fn a_line_passes_through_the_display_in_one_piece() {
    #[derive(Default)]
    struct Counting(Mutex<usize>);
    impl Display for Counting {
        fn step_aside(&self, write: &mut dyn FnMut()) {
            *self.0.lock().unwrap() += 1;
            write();
        }
    }
    let display = Arc::new(Counting::default());
    let mut through = Stderr { display: Some(display.clone()) };
    through.write_all(b"one line, whole\n").expect("stderr takes it");
    Stderr { display: None }.write_all(b"straight to stderr\n").expect("stderr takes it");
    assert_eq!(*display.0.lock().unwrap(), 1);
}

#[test]
fn an_event_is_one_line_whatever_a_broker_says() {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let writer = kept.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(lines.with_target(false).without_time().fmt_fields(Fields));
    let said = "gone\n2026-01-01T00:00:00Z ERROR forged\u{1b}[31m";
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::error_span!("bridge", bridge = said).entered();
        tracing::error!(log.target = "x", reason = %said, name = said, "closed: {said}");
    });
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains("log.") && !text.contains("  closed"), "{text}");
    assert!(
        !text.contains('\u{1b}') && text.contains(r"closed: gone\n2026") && text.contains(r"reason=gone\n"),
        "{text}"
    );
}
