//! One AMQP URL, as RabbitMQ's URI specification has it.
//!
//! The client library's own parser puts the whole URL, password and all, into one of its errors, and takes an IPv6
//! address for `localhost`. So the parts are checked here first, and no message quotes any of them.

use lapin::uri::{AMQPUri, SASLMechanism};
use url::{Host, ParseError, Url};

use crate::convert::short_string;

/// The parameters of RabbitMQ's URI query parameters that the client library understands.
const PARAMETERS: [&str; 5] = ["heartbeat", "connection_timeout", "channel_max", "frame_max", "auth_mechanism"];

const ENCODE: &str = "a user name or password with any of : / ? # [ ] @ in it must be percent-encoded, or given as `username`, `password`";

/// The URL's parts; the error says which part is wrong.
pub(crate) fn parse(text: &str) -> Result<AMQPUri, String> {
    let url = Url::parse(text).map_err(explain)?;
    if !matches!(url.scheme(), "amqp" | "amqps") {
        return Err("its scheme must be amqp or amqps: amqp://user:password@host:5672/vhost".to_owned());
    }
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => return Err("it names no host: amqp://user:password@host:5672/vhost".to_owned()),
    };
    if url.path().get(1..).is_some_and(|vhost| vhost.contains('/')) {
        return Err("its virtual host holds a /, which is written %2f; or give it as `vhost`".to_owned());
    }
    if url.fragment().is_some() {
        return Err(format!("it ends in a # part, which AMQP URLs do not have; {ENCODE}"));
    }
    check_parameters(&url)?;
    let mut uri: AMQPUri = text.parse().map_err(|_| {
        "its user name, password or virtual host is not percent-encoded UTF-8; or give them as `username`, `password` \
         and `vhost`"
            .to_owned()
    })?;
    short_string(&uri.vhost).map_err(|reason| format!("its virtual host {reason}"))?;
    uri.authority.host = host;
    Ok(uri)
}

/// The place in a URL that is a reference which is not resolved: all of `${env:RABBIT_URL}`, the host and what follows of
/// `amqp://user:password@${env:RABBIT_HOST}:5672/vhost`. `None` where a part of it could be a password.
pub(crate) fn reference(url: &str) -> Option<&str> {
    let place = url.rsplit_once('@').or_else(|| url.split_once("://")).map_or(url, |(_, place)| place);
    let (reference, behind) = place.split_at(place.find('}')? + 1);
    let port = behind.split('/').next().unwrap_or_default();
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (reference.starts_with("${") && is_port).then_some(place)
}

fn explain(error: ParseError) -> String {
    match error {
        ParseError::RelativeUrlWithoutBase => {
            "it has no scheme: amqp://user:password@host:5672/vhost, or amqps:// for TLS".to_owned()
        }
        ParseError::EmptyHost => "it names no host: amqp://user:password@host:5672/vhost".to_owned(),
        ParseError::InvalidPort => format!("its port is not a number up to 65535; {ENCODE}"),
        other => format!("{other}; {ENCODE}"),
    }
}

fn check_parameters(url: &Url) -> Result<(), String> {
    for (name, value) in url.query_pairs() {
        let fits = match name.as_ref() {
            "heartbeat" | "channel_max" => value.parse::<u16>().is_ok(),
            "frame_max" => value.parse::<u32>().is_ok(),
            "connection_timeout" => value.parse::<u64>().is_ok(),
            "auth_mechanism" => value.parse::<SASLMechanism>().is_ok(),
            _ => return Err(format!("of its parameters only {} are known; {ENCODE}", PARAMETERS.join(", "))),
        };
        if !fits {
            return Err(format!("the value of its parameter {name} is not one that fits"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_shown_and_nothing_that_may_be_a_password() {
        for (url, place) in [
            ("${env:URL}", "${env:URL}"),
            ("amqp://${env:HOST}", "${env:HOST}"),
            ("amqps://gantry:hunter2@${env:HOST}:5671/orders", "${env:HOST}:5671/orders"),
            ("amqp://${env:USER}:${env:PASSWORD}@${file:/run/host}", "${file:/run/host}"),
        ] {
            assert_eq!(reference(url), Some(place), "{url}");
        }
        for url in [
            "amqp://gantry:${env:PASSWORD}@rabbit1:5672",
            "amqp://${env:USER}:hunter2",
            "amqp://${env:USER}hunter2",
            "amqp://gantry:hunter2${env:REST}",
            "amqp://rabbit1/${env:VHOST}",
        ] {
            assert_eq!(reference(url), None, "{url}");
        }
    }

    #[test]
    fn reads_every_part() {
        let uri = parse("amqps://gan%40try:p%2Fw@rabbit1:5999/a%2fb?heartbeat=7&auth_mechanism=external")
            .expect("it is a good URL");
        assert_eq!(uri.authority.userinfo.username, "gan@try");
        assert_eq!(uri.authority.userinfo.password, "p/w");
        assert_eq!((uri.authority.host.as_str(), uri.authority.port), ("rabbit1", 5999));
        assert_eq!(uri.vhost, "a/b");
        assert_eq!(uri.query.heartbeat, Some(7));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let uri = parse("amqp://rabbit1").expect("it is a good URL");
        assert_eq!((uri.authority.port, uri.vhost.as_str()), (5672, "/"));
        assert_eq!(parse("amqps://rabbit1").expect("it is a good URL").authority.port, 5671);
        assert_eq!(parse("amqp://rabbit1/").expect("it is a good URL").vhost, "");
    }

    #[test]
    fn addresses_are_hosts_too() {
        assert_eq!(parse("amqp://10.0.0.7:1").expect("it is a good URL").authority.host, "10.0.0.7");
        assert_eq!(parse("amqp://[fe80::1]:1").expect("it is a good URL").authority.host, "fe80::1");
    }

    #[test]
    fn a_bad_url_says_which_part_and_never_quotes_it() {
        let cases = [
            ("rabbit1", "no scheme"),
            ("hunter2:5672", "scheme must be"),
            ("http://u:hunter2@h", "scheme must be"),
            ("amqp:hunter2", "no host"),
            ("amqp://", "no host"),
            ("amqp:///%2f", "no host"),
            ("amqp://u:hunter2@", "no host"),
            ("amqp://u:hunter2@h:99999", "its port"),
            ("amqp://u:hun/ter2@h", "its port"),
            ("amqp://u:p@h/a/b", "virtual host holds a /"),
            ("amqp://u:p@h/v#hunter2", "# part"),
            ("amqp://u:hunter2%FF@h", "percent-encoded UTF-8"),
            ("amqp://u:p@h/?heartbeat=hunter2", "parameter heartbeat"),
            ("amqp://u:p@h/?auth_mechanism=hunter2", "parameter auth_mechanism"),
            ("amqp://u:p@h/?hunter2=1", "only heartbeat"),
        ];
        for (text, expected) in cases {
            let message = parse(text).expect_err(text);
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("hun"), "{text}: {message}");
        }
        let long = format!("amqp://h/{}", "v".repeat(256));
        assert!(parse(&long).expect_err("too long").contains("255"), "{long}");
    }
}
