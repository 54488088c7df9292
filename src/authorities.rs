//! Whom to trust, in a build that has OpenSSL linked in.
//!
//! That OpenSSL looks for the system's authorities in a folder that only the machine which built it could have
//! (`/usr/local/ssl`), and would refuse every public certificate. Where distributions keep them is known. Two environment
//! variables tell it to every OpenSSL client in the process: the AMQP client, librdkafka, our own look at a broker's
//! certificate. A process cannot safely change its own environment, so it starts itself once more with them.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use openssl_probe::{ENV_CERT_DIR, ENV_CERT_FILE, ProbeResult};

/// Starts over with the variables, if OpenSSL is linked in and nobody has set one of them. To be called before there is a
/// second thread. Where that fails the process goes on without; a connection that needs them says so.
pub(crate) fn ensure_found() {
    if !cfg!(feature = "static") || [ENV_CERT_FILE, ENV_CERT_DIR].iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    let variables = variables(openssl_probe::probe());
    // With none it would start over for ever.
    if variables.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let _ = command.args(arguments).envs(variables).exec();
}

fn variables(found: ProbeResult) -> Vec<(&'static str, OsString)> {
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
        assert_eq!(variables(found), expected);
    }

    #[test]
    fn a_machine_without_authorities_is_no_reason_to_start_over() {
        assert_eq!(variables(ProbeResult { cert_file: None, cert_dir: Vec::new() }), []);
    }
}
