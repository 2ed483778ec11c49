//! Brokers that nobody here wrote, between the server and an agent: a Mosquitto, plain and with TLS and client
//! certificates, and a RabbitMQ that asks the server who may come in.

use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::server::{free_port, until};

#[allow(dead_code, reason = "the tests of other crates use the rest of it")]
#[path = "../../../crates/mtp/tests/servers/rabbitmq.rs"]
mod rabbitmq;

use rabbitmq::{RabbitMq, Tls, User};

const SECRET: &str = "a-secret-between-rabbitmq-and-headend";

/// The password of every user of Mosquitto.
pub const PASSWORD: &str = "interop";

/// The devices that come over STOMP, users of RabbitMQ's own.
const OVER_STOMP: [&str; 2] = ["stomp", "stomptls"];

/// Both of them.
pub struct Brokers {
    /// Mosquitto, without TLS.
    pub mosquitto: u16,
    /// Mosquitto, with TLS and client certificates, whose common name is the user.
    pub mosquitto_tls: u16,
    /// RabbitMQ, MQTT 3.1.1, without TLS and with it, which wants client certificates.
    pub rabbitmq: u16,
    pub rabbitmq_tls: u16,
    /// RabbitMQ, STOMP without TLS and with it, which wants client certificates.
    pub stomp: u16,
    pub stomp_tls: u16,
    /// Listeners of the server's own with TLS, for WebSocket and for the broker inside.
    pub usp_tls: u16,
    pub inside_tls: u16,
    folder: PathBuf,
    asked: u16,
    child: Child,
    _rabbitmq: RabbitMq,
}

impl Brokers {
    /// Starts them; these devices, `self::interop-NAME`, are users `default/NAME` of Mosquitto.
    pub fn start(folder: &Path, names: &[&str]) -> Result<Brokers> {
        let folder = folder.join("brokers");
        std::fs::create_dir_all(&folder)?;
        certificates(&folder, names)?;
        let (mosquitto, mosquitto_tls, asked) = (free_port()?, free_port()?, free_port()?);
        let file = |name: &str| folder.join(name).display().to_string();
        let mut acl =
            "user headend\ntopic read usp/+/controller/+/#\ntopic write usp/+/agent/+/#\n"
                .to_owned();
        std::fs::write(folder.join("passwords"), "")?;
        std::fs::write(folder.join("password"), PASSWORD)?;
        std::fs::write(folder.join("secret"), SECRET)?;
        for name in names {
            let user = format!("default/{name}");
            run(Command::new("mosquitto_passwd").arg("-b").args([
                &file("passwords"),
                &user,
                PASSWORD,
            ]))?;
            write!(
                acl,
                "user {user}\ntopic write usp/default/controller/self::interop-{name}/#\n\
                 topic read usp/default/agent/self::interop-{name}/#\n"
            )?;
        }
        std::fs::write(folder.join("acl"), acl)?;
        let config = format!(
            "user root\nallow_anonymous false\npassword_file {}\nacl_file {}\n\
             listener {mosquitto} 127.0.0.1\nlistener {mosquitto_tls} 127.0.0.1\ncafile {}\ncertfile {}\n\
             keyfile {}\nrequire_certificate true\nuse_identity_as_username true\n",
            file("passwords"),
            file("acl"),
            file("ca.pem"),
            file("server.pem"),
            file("server.key"),
        );
        std::fs::write(folder.join("mosquitto.conf"), config)?;
        let log = std::fs::File::create(folder.join("mosquitto.log"))?;
        let program = ["/usr/sbin/mosquitto", "mosquitto"];
        let program = program
            .iter()
            .find(|one| crate::cmd::exists(one) || Path::new(one).exists());
        let child = Command::new(program.context("mosquitto is not installed")?)
            .args(["-c", &file("mosquitto.conf")])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let path = |what: &str| {
            format!("auth_http.{what}_path = http://127.0.0.1:{asked}/{SECRET}/rabbitmq/{what}\n")
        };
        let more = format!(
            "auth_backends.1 = internal\nauth_backends.2 = http\nauth_http.http_method = post\n{}",
            ["user", "vhost", "resource", "topic"].map(path).concat()
        );
        let own = OVER_STOMP.map(|name| {
            let may = |whose: &str| format!("^stomp\\.default\\.{whose}\\.self::interop-{name}$");
            (format!("default/{name}"), may("controller"), may("agent"))
        });
        let mut users = vec![User::all("headend", PASSWORD)];
        users.extend(
            own.iter()
                .map(|(name, write, read)| User::topics(name, PASSWORD, write, read)),
        );
        let tls = Tls {
            authority: &folder.join("ca.pem"),
            certificate: &folder.join("server.pem"),
            key: &folder.join("server.key"),
        };
        let started = RabbitMq::start(&users, Some(&tls), &more);
        let rabbitmq = started.map_err(|error| anyhow!("RabbitMQ: {error}"))?;
        let brokers = Brokers {
            mosquitto,
            mosquitto_tls,
            rabbitmq: rabbitmq.mqtt,
            rabbitmq_tls: rabbitmq.mqtt_tls,
            usp_tls: free_port()?,
            inside_tls: free_port()?,
            stomp: rabbitmq.stomp,
            stomp_tls: rabbitmq.stomp_tls,
            folder,
            asked,
            child,
            _rabbitmq: rabbitmq,
        };
        until("Mosquitto", || {
            std::net::TcpStream::connect(("127.0.0.1", mosquitto)).ok()
        })?;
        Ok(brokers)
    }

    /// What the server is told of them, to whose brokers it comes with its own certificate, and of its own listeners.
    pub fn settings(&self) -> Vec<String> {
        let file = |name: &str| toml::Value::from(self.file(name)).to_string();
        vec![
            format!("usp.tls_listen=127.0.0.1:{}", self.usp_tls),
            format!("mqtt.tls_listen=127.0.0.1:{}", self.inside_tls),
            format!(
                "usp.tls={{certificate={},key={},client_ca={}}}",
                file("server.pem"),
                file("server.key"),
                file("ca.pem")
            ),
            format!("broker_auth.listen=127.0.0.1:{}", self.asked),
            format!("broker_auth.secret_file={}", self.file("secret")),
            format!(
                "usp.brokers=[{{name=\"mosquitto\",url=\"mqtts://localhost:{}\",ca={},certificate={},key={},registers=true}},\
                 {{name=\"rabbitmq\",url=\"mqtt://127.0.0.1:{}\",version=\"3.1.1\",username=\"headend\",password_file={},asks=true}},\
                 {{name=\"rabbitmq-stomp\",url=\"stomps://localhost:{}\",ca={},certificate={},key={},topic_prefix=\"stomp\",registers=true}}]",
                self.mosquitto_tls,
                file("ca.pem"),
                file("headend.pem"),
                file("headend.key"),
                self.rabbitmq,
                file("password"),
                self.stomp_tls,
                file("ca.pem"),
                file("headend.pem"),
                file("headend.key"),
            ),
        ]
    }

    /// A file beside the brokers: `ca.pem`; `NAME.both` has certificate and key of that device.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A broker, as the agent is told of it.
pub struct Meeting {
    pub port: u16,
    pub version: &'static str,
    pub transport: &'static str,
    pub username: String,
    pub password: String,
}

/// What the agent is told to meet us at a broker, as its documentation wants it.
pub fn at_the_broker(meeting: &Meeting, device: &str) -> String {
    // The name is looked for in the certificate, and an address is not.
    let host = match meeting.transport {
        "TLS" => "localhost",
        _ => "127.0.0.1",
    };
    let (agent, controller) = (
        format!("usp/default/agent/{device}"),
        format!("usp/default/controller/{device}"),
    );
    [
        ("LocalAgent.MTP.1.Enable", "true"),
        ("LocalAgent.MTP.1.Protocol", "MQTT"),
        ("LocalAgent.MTP.1.MQTT.Reference", "Device.MQTT.Client.1"),
        ("LocalAgent.MTP.1.MQTT.ResponseTopicConfigured", &agent),
        ("LocalAgent.MTP.1.MQTT.PublishQoS", "1"),
        ("LocalAgent.Controller.1.MTP.1.Enable", "true"),
        ("LocalAgent.Controller.1.MTP.1.Protocol", "MQTT"),
        ("LocalAgent.Controller.1.MTP.1.MQTT.Topic", &controller),
        (
            "LocalAgent.Controller.1.MTP.1.MQTT.Reference",
            "Device.MQTT.Client.1",
        ),
        ("MQTT.Client.1.Enable", "true"),
        ("MQTT.Client.1.BrokerAddress", host),
        ("MQTT.Client.1.BrokerPort", &meeting.port.to_string()),
        ("MQTT.Client.1.ProtocolVersion", meeting.version),
        ("MQTT.Client.1.TransportProtocol", meeting.transport),
        ("MQTT.Client.1.Username", &meeting.username),
        ("MQTT.Client.1.Password", &meeting.password),
        ("MQTT.Client.1.KeepAliveTime", "60"),
    ]
    .map(|(name, value)| format!("Device.{name} \"{value}\"\n"))
    .concat()
}

/// The same at the STOMP server: by password, or by certificate over TLS.
pub fn at_the_stomp_server(brokers: &Brokers, encrypted: bool, name: &str) -> String {
    let destination = |whose: &str| format!("/topic/stomp.default.{whose}.self::interop-{name}");
    let (host, port, encryption) = match encrypted {
        true => ("localhost", brokers.stomp_tls, "true"),
        false => ("127.0.0.1", brokers.stomp, "false"),
    };
    [
        ("LocalAgent.MTP.1.Enable", "true"),
        ("LocalAgent.MTP.1.Protocol", "STOMP"),
        (
            "LocalAgent.MTP.1.STOMP.Reference",
            "Device.STOMP.Connection.1",
        ),
        ("LocalAgent.MTP.1.STOMP.Destination", &destination("agent")),
        ("LocalAgent.Controller.1.MTP.1.Enable", "true"),
        ("LocalAgent.Controller.1.MTP.1.Protocol", "STOMP"),
        (
            "LocalAgent.Controller.1.MTP.1.STOMP.Reference",
            "Device.STOMP.Connection.1",
        ),
        (
            "LocalAgent.Controller.1.MTP.1.STOMP.Destination",
            &destination("controller"),
        ),
        ("STOMP.Connection.1.Enable", "true"),
        ("STOMP.Connection.1.Host", host),
        ("STOMP.Connection.1.Port", &port.to_string()),
        ("STOMP.Connection.1.EnableEncryption", encryption),
        ("STOMP.Connection.1.Username", &format!("default/{name}")),
        ("STOMP.Connection.1.Password", PASSWORD),
        ("STOMP.Connection.1.VirtualHost", "/"),
        ("STOMP.Connection.1.EnableHeartbeats", "true"),
        ("STOMP.Connection.1.OutgoingHeartbeat", "15000"),
        ("STOMP.Connection.1.IncomingHeartbeat", "15000"),
        ("STOMP.Connection.1.ServerRetryInitialInterval", "2"),
    ]
    .map(|(name, value)| format!("Device.{name} \"{value}\"\n"))
    .concat()
}

/// An authority, and from it certificates of the broker, the server and the devices.
fn certificates(folder: &Path, names: &[&str]) -> Result<()> {
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let openssl = |args: &[&str]| run(Command::new("openssl").current_dir(folder).args(args));
    let ca = [
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        "-subj",
        "/CN=interop",
    ];
    openssl(&[&["req", "-x509"], &key[..], &ca[..]].concat())?;
    let one = |name: &str, subject: &str, names: &str| -> Result<()> {
        let [keyout, request, out] = ["key", "csr", "pem"].map(|kind| format!("{name}.{kind}"));
        let asked = [
            "-keyout",
            &keyout,
            "-out",
            &request,
            "-subj",
            subject,
            "-addext",
            &format!("subjectAltName={names}"),
        ];
        openssl(&[&["req"], &key[..], &asked[..]].concat())?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-copy_extensions",
            "copy",
            "-out",
            &out,
        ])?;
        let both = [&out, &keyout].map(|name| std::fs::read_to_string(folder.join(name)));
        let [certificate, key] = both;
        std::fs::write(folder.join(format!("{name}.both")), certificate? + &key?)?;
        Ok(())
    };
    one("server", "/CN=localhost", "DNS:localhost")?;
    one("headend", "/CN=headend", "DNS:localhost")?;
    for name in names {
        let endpoint = format!("URI:urn:bbf:usp:id:self::interop-{name}");
        one(name, &format!("/CN=default\\/{name}"), &endpoint)?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
