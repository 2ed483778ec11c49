//! A USP Service: a process of the device that is not its agent and yet is managed. It registers `Device.X_EXAMPLE_Meter.`
//! at the broker, which is `headend-agent` with `services.broker_controller` in its configuration:
//!
//!     cargo run -p agent --example service -- /run/usp/broker_controller_path os::00256D-ABC
//!
//! where the last is the endpoint id of that agent.

use std::sync::Arc;
use std::time::Duration;

use agent::{
    AgentConfig, Backend, Call, ControllerConfig, Fault, Hint, Now, Outcome, RunOptions, View,
};
use dm::{
    ArgDef, BaseType, CommandDef, CommandKind, EventDef, ObjectAccess, ObjectDef, ParamDef, Schema,
};

/// What it registers.
pub const METER: &str = "Device.X_EXAMPLE_Meter.";

/// A meter that counts, with alarms at certain counts, and a command that takes a while.
pub struct Meter {
    schema: Arc<Schema>,
    measuring: Vec<u32>,
}

impl Meter {
    /// The model: objects of its own, and nothing of the standard's.
    pub fn new() -> Result<Meter, dm::SchemaError> {
        let alarms = ObjectDef::new("Device.X_EXAMPLE_Meter.Alarm.{i}.")
            .access(ObjectAccess::AddDelete)
            .with_param(ParamDef::new("Alias", BaseType::String).write_once())
            .with_param(ParamDef::new("Limit", BaseType::UnsignedInt).read_write())
            .with_key(&["Alias"], false);
        let count = ArgDef::new("Count", BaseType::UnsignedInt);
        let meter = ObjectDef::new(METER)
            .with_param(ParamDef::new("Name", BaseType::String).read_write())
            .with_param(ParamDef::new("Secret", BaseType::String).read_write())
            .with_param(ParamDef::new("Count", BaseType::UnsignedInt))
            .with_param(ParamDef::new("AlarmNumberOfEntries", BaseType::UnsignedInt))
            .with_command(CommandDef::new("Reset()", CommandKind::Sync))
            .with_command(CommandDef::new("Measure()", CommandKind::Async).with_output(count))
            .with_event(EventDef::new("Measured!"));
        Ok(Meter {
            schema: agent::model_with::<&str>(&[], [meter, alarms])?,
            measuring: Vec::new(),
        })
    }
}

impl Backend for Meter {
    fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    fn factory(&self) -> Vec<(String, String)> {
        vec![
            (format!("{METER}Name"), "meter".into()),
            (format!("{METER}Alarm.1.Alias"), "first".into()),
        ]
    }

    /// `Count` is live: everything else is held by the engine.
    fn read(&self, now: Now, path: &str) -> Option<String> {
        (path == "Device.X_EXAMPLE_Meter.Count").then(|| (now.unix_ms / 1000 % 1000).to_string())
    }

    fn operate(&mut self, _: Now, call: &Call, _: &dyn View) -> Outcome {
        match call.command.as_str() {
            "Device.X_EXAMPLE_Meter.Reset()" => Outcome::Done(Ok(Vec::new())),
            "Device.X_EXAMPLE_Meter.Measure()" if call.command_key == "never" => Outcome::Running,
            "Device.X_EXAMPLE_Meter.Measure()" => {
                self.measuring.push(call.id);
                Outcome::Running
            }
            other => Outcome::Done(Err(Fault::command_failure(other))),
        }
    }

    fn cancel(&mut self, id: u32) -> bool {
        self.measuring.retain(|running| *running != id);
        true
    }

    fn tick(&mut self, _: Now, _: &dyn View, hints: &mut Vec<Hint>) -> Option<Duration> {
        for id in self.measuring.drain(..) {
            hints.push(Hint::Event(format!("{METER}Measured!"), Vec::new()));
            let outputs = vec![("Count".to_owned(), "42".to_owned())];
            hints.push(Hint::Completed(id, Ok(outputs)));
        }
        None
    }
}

/// A service of this endpoint id, which finds its broker at a socket.
pub fn config(own: &str, socket: &str, broker: &str) -> AgentConfig {
    AgentConfig {
        endpoint_id: own.into(),
        controllers: vec![ControllerConfig {
            endpoint_id: broker.into(),
            url: format!("unix://{socket}"),
            register: vec![METER.into()],
            ..ControllerConfig::default()
        }],
        ..AgentConfig::default()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let mut args = std::env::args().skip(1);
    let (Some(socket), Some(broker)) = (args.next(), args.next()) else {
        anyhow::bail!("the socket of the broker and its endpoint id are needed");
    };
    let config = config("self::example-meter", &socket, &broker);
    config.check("arguments")?;
    let stop = tokio_util::sync::CancellationToken::new();
    let ending = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        ending.cancel();
    });
    let options = RunOptions::default();
    agent::run(config, Box::new(Meter::new()?), options, stop).await?;
    Ok(())
}
