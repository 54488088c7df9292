//! Whom to trust, in a build that has OpenSSL linked in.
//!
//! That OpenSSL looks for the system's authorities in a folder that only the machine which built it could have
//! (`/usr/local/ssl`), and would refuse every public certificate. Where distributions keep them is known. Two environment
//! variables tell it to every OpenSSL client in the process: the AMQP client, librdkafka, our own look at a broker's
//! certificate.

use std::{env, ffi::OsString, path::PathBuf};

use openssl_probe::{ENV_CERT_DIR, ENV_CERT_FILE, ProbeResult};

/// The variables, if OpenSSL is linked in; none where nothing was found.
pub(crate) fn variables() -> Vec<(&'static str, OsString)> {
    if cfg!(feature = "static") { of(openssl_probe::probe()) } else { Vec::new() }
}

fn of(found: ProbeResult) -> Vec<(&'static str, OsString)> {
    let file = found.cert_file.map(|path| (ENV_CERT_FILE, path.into_os_string()));
    let directories = (!found.cert_dir.is_empty()).then_some(found.cert_dir);
    let directories = directories.and_then(|paths: Vec<PathBuf>| env::join_paths(paths).ok());
    file.into_iter().chain(directories.map(|paths| (ENV_CERT_DIR, paths))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said_in_the_words_of_openssl() {
        let found = ProbeResult {
            cert_file: Some("/etc/ssl/certs/ca-certificates.crt".into()),
            cert_dir: vec!["/etc/ssl/certs".into(), "/etc/pki/tls/certs".into()],
        };
        let expected = [
            ("SSL_CERT_FILE", OsString::from("/etc/ssl/certs/ca-certificates.crt")),
            ("SSL_CERT_DIR", OsString::from("/etc/ssl/certs:/etc/pki/tls/certs")),
        ];
        assert_eq!(of(found), expected);
    }

    #[test]
    fn a_machine_without_authorities_is_no_reason_to_start_over() {
        assert_eq!(of(ProbeResult { cert_file: None, cert_dir: Vec::new() }), []);
    }
}
