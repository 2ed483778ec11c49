//! Every limit of this crate, with its reason. A message that hits one is answered with 7005 and the limit's name.

/// Most rows of one table that controllers may create. Larger tables exist only where the device itself fills them.
pub const TABLE_ROWS_MAX: usize = 512;

/// Most subscriptions of one agent: each costs memory and, where values have to be polled, work.
pub const SUBSCRIPTIONS_MAX: usize = 256;

/// Most bytes of paths and values that controllers may leave with the agent. A gateway's whole configuration is some
/// 100 KiB; what is kept is kept in memory, written to flash and copied into notifications.
pub const STATE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most rows in the Request table, that is commands running at once.
pub const REQUESTS_MAX: usize = 64;

/// Most values watched by comparing (for back ends that cannot say what changed).
pub const WATCHED_VALUES_MAX: usize = 4096;

/// Most objects in one Set, Add or Delete; the message is evaluated as a whole and may be evaluated repeatedly.
pub const MESSAGE_OBJECTS_MAX: usize = 1024;

/// Most paths in one Get, GetInstances or GetSupportedDM.
pub const MESSAGE_PATHS_MAX: usize = 4096;

/// Most parameters in one answer; a whole TR-181 gateway has about 20,000.
pub const ANSWER_VALUES_MAX: usize = 200_000;

/// Most hints a back end may have waiting; a flood of hints beyond it is folded into "look again".
pub const HINTS_PENDING_MAX: usize = 4096;

/// Longest command key. TR-181 sets none; the reference agents keep 32 to 256 characters.
pub const COMMAND_KEY_CHARS_MAX: usize = 256;

/// Most settings in `TriggerConfigSettings` (Device:2.19).
pub const TRIGGER_SETTINGS_MAX: usize = 16;

/// The journal is rewritten as a snapshot when it is longer than this and mostly superseded.
pub const JOURNAL_BYTES_BEFORE_COMPACTION: u64 = 256 * 1024;

/// Requests whose answers go to another topic than the controller's own, kept until they are answered.
pub const REPLY_TOPICS_MAX: usize = 32;

/// Longest configuration file. Ours has a page; more is some other file.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Most controllers of one agent, each of which may hold a connection.
pub const CONTROLLERS_MAX: usize = 32;

/// Most USP Services of one agent: processes of the device that register something.
pub const SERVICES_MAX: usize = 32;

/// Most paths that one of them registers. A whole vendor extension is one path.
pub const SERVICE_PATHS_MAX: usize = 64;

/// Most objects, parameters, commands and events that a service describes: several times what a large one has, for all of
/// it is kept in memory.
pub const SERVICE_MODEL_ELEMENTS_MAX: usize = 20_000;

/// Most bytes of it: a large one has some 500 KiB, and there may be many services.
pub const SERVICE_MODEL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most paths in one Register or Deregister: more than a service can have, for some may be refused.
pub const SERVICE_REQUEST_PATHS_MAX: usize = 4 * SERVICE_PATHS_MAX;

/// Most subscriptions of ours at one service: as many as this agent has itself, each with some references.
pub const SERVICE_SUBSCRIPTIONS_MAX: usize = 512;

/// Most of them that are asked for at once: the session's window, so that no one's time runs out in its queue and
/// what controllers ask finds room in it.
pub const SERVICE_SUBSCRIBING_MAX: usize = 16;

/// How long a service is left alone when it has not said what it has, or has not taken a subscription, for no reason that
/// lasts: it may just be starting. Doubles each time.
pub const SERVICE_AGAIN_MIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Longest such wait: a service that stays as it is costs little.
pub const SERVICE_AGAIN_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// Most requests of controllers that wait for services at once.
pub const SERVICE_JOBS_MAX: usize = 64;

/// Longest wait for the answer of a service: it is on this device, and a controller waits for it.
pub const SERVICE_ANSWER_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);

/// How long a service may take nothing of what it is asked: beyond it, it no longer reads, and is let go.
pub const SERVICE_SEND_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a broker may take to answer what a service wants to register: it looks into its own tables. Over a broker of
/// messages or a server between them either may get lost.
pub const REGISTER_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);

/// How long a service waits before it asks again for what its broker has refused, or has not answered: another may have given it back.
pub const REGISTER_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Most connections waiting to be attributed to a controller on the listening side.
pub const INBOUND_PENDING_MAX: usize = 64;

/// How long a controller may take nothing of what waits for it, before its connection is given up.
pub const SEND_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(20);

/// Longest wait for connections to close in good order when the agent stops or restarts.
pub const CLOSING_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(3);

/// Where a broker behind a WebSocket is: the data model has no place for it, and this is what brokers have.
pub const MQTT_WEBSOCKET_PATH: &str = "/mqtt";

/// How often the file of leases is looked at: a lease is renewed within minutes or hours, and a device that was just
/// plugged in should not be waited for.
pub const LEASE_LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Most controllers that are remembered from leases, of which one is enabled, and as many of the local network: whoever
/// answers there could name ever others. The oldest of leases makes room; who is there first on the network, stays.
pub const FOUND_CONTROLLERS_MAX: usize = 4;

/// How often the name servers are asked anew for the controller of a lease's domain: it may have moved.
pub const DOMAIN_LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(3600);

/// How often, while they say of none.
pub const DOMAIN_RETRY_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Most controllers of the local network that are borne in mind, with those that have just gone: some of a lab or a house.
/// Anybody there can make up ever others.
pub const LAN_CONTROLLERS_MAX: usize = 32;

/// How often what the local network says of one controller is taken up, and looked at again: each time may be written to
/// flash, and anybody there can say something else with each packet.
pub const LAN_CHANGE_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Refusals in a row after which a renewed certificate that no server has taken yet gives way to the former one: one may
/// be for another reason, and a device that shows what nobody takes is out of reach.
pub const CERTIFICATE_REFUSALS_MAX: u32 = 3;

/// A connection that has lasted for so long has taken the certificate that was shown in it, also where the controller has
/// nothing to say: one that does not want it closes at once.
pub const CERTIFICATE_TAKEN_AFTER: std::time::Duration = std::time::Duration::from_secs(5);
