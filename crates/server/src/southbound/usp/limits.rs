//! Every limit of the side of the devices, with its reason.

use std::time::Duration;

pub use crate::southbound::limits::{
    CERTIFICATE_LOOK_EVERY, SETUP_KEY_BURST, SETUP_KEY_PER_SECOND, SETUP_KEYS_COUNTED_MAX,
};

/// How often the tenants are looked at for disabled ones. Who disables one here is heard at once;
/// this is for other nodes and tools.
pub const TENANTS_EVERY: Duration = Duration::from_secs(15);

/// Those limits that a test sets lower, with their defaults.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// See [`SETUP_KEY_BURST`].
    pub setup_key_burst: f64,
    /// See [`SETUP_KEY_PER_SECOND`].
    pub setup_key_per_second: f64,
    /// See [`ONBOARDINGS_AT_ONCE`].
    pub onboardings_at_once: usize,
    /// See [`ONBOARD_REQUEST_TIME`].
    pub onboard_request_time: Duration,
    /// See [`ONBOARD_TIME_MAX`].
    pub onboard_time_max: Duration,
    /// See [`TENANTS_EVERY`].
    pub tenants_every: Duration,
    /// See [`CERTIFICATE_LOOK_EVERY`].
    pub certificate_look_every: Duration,
    /// See [`CONNECT_RECORD_TIME`].
    pub connect_record_time: Duration,
    /// See [`mtp::limits::HANDSHAKE_TIME_MAX`].
    pub handshake_time_max: Duration,
    /// The first wait before a lost broker is dialled again; the standard's, 5 s.
    pub broker_retry_min: Duration,
    /// See [`BROKER_AGENTS_MAX`].
    pub broker_agents_max: usize,
    /// See [`BROKER_REFUSED_FOR`].
    pub broker_refused_for: Duration,
    /// See [`BROKER_REGISTRATION_BURST`].
    pub broker_registration_burst: f64,
    /// See [`BROKER_REGISTRATIONS_PER_SECOND`].
    pub broker_registrations_per_second: f64,
    /// See [`BROKER_UNFINISHED_MAX`].
    pub broker_unfinished_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            setup_key_burst: SETUP_KEY_BURST,
            setup_key_per_second: SETUP_KEY_PER_SECOND,
            onboardings_at_once: ONBOARDINGS_AT_ONCE,
            onboard_request_time: ONBOARD_REQUEST_TIME,
            onboard_time_max: ONBOARD_TIME_MAX,
            tenants_every: TENANTS_EVERY,
            certificate_look_every: CERTIFICATE_LOOK_EVERY,
            connect_record_time: CONNECT_RECORD_TIME,
            handshake_time_max: mtp::limits::HANDSHAKE_TIME_MAX,
            broker_retry_min: mtp::limits::RETRY_MINIMUM_WAIT,
            broker_agents_max: BROKER_AGENTS_MAX,
            broker_refused_for: BROKER_REFUSED_FOR,
            broker_registration_burst: BROKER_REGISTRATION_BURST,
            broker_registrations_per_second: BROKER_REGISTRATIONS_PER_SECOND,
            broker_unfinished_max: BROKER_UNFINISHED_MAX,
        }
    }
}

/// Requests waiting for the task of one link: jobs of the dispatcher and of onboarding. A device
/// is asked one thing after the other, so more is a defect of ours.
pub const LINK_INBOX: usize = 64;

/// How long a new link waits for the one it replaces to end its requests.
pub const REPLACE_TIME_MAX: Duration = Duration::from_secs(5);

/// Onboardings at the same time. Each holds a model and a device's values in memory. A tenant may
/// hold as many as are free: 32 when it is alone.
pub const ONBOARDINGS_AT_ONCE: usize = 64;

/// Time for one request of onboarding. A whole data model can take an old CPE this long.
pub const ONBOARD_REQUEST_TIME: Duration = Duration::from_secs(60);

/// Requests of onboarding that a device may leave unanswered one after the other. One may be too
/// much for it; after three it answers nothing, and others want its place.
pub const ONBOARD_TIMEOUTS_MAX: u32 = 3;

/// Time for one onboarding: a device that answers nothing, or very slowly, gives its place to the
/// others after that, and is tried again later.
pub const ONBOARD_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// Requests of a model that is walked level by level. The published model has 700 objects.
pub const MODEL_WALK_REQUESTS_MAX: usize = 2_000;

/// Objects of one discovered model.
pub const MODEL_OBJECTS_MAX: usize = 20_000;

/// Values read when a device is first met: big gateways have some 10,000.
pub const FIRST_VALUES_MAX: usize = 30_000;

/// Commands a subscription names one by one where the device does not take `Device.` as a whole.
pub const SUBSCRIBED_COMMANDS_MAX: usize = 64;

/// What one onboarding notes about steps that a device did not take; the rest would say the same.
pub const ONBOARD_NOTES_MAX: usize = 20;

/// Wait before a failed onboarding is tried again on an open link; doubling up to an hour.
pub const ONBOARD_RETRY_MIN: Duration = Duration::from_secs(30);

/// Longest wait between two onboardings of one device.
pub const ONBOARD_RETRY_MAX: Duration = Duration::from_secs(3600);

/// How long a device that took its new credential may take to come back with it before operations
/// are sent over the old link. The reference agent reconnects five seconds after it answered.
pub const SWAP_WAIT: Duration = Duration::from_secs(8);

/// How long no other node gives a device a credential after one has begun to: longer than its answer and its way back
/// take, and short enough that one whose node was killed meanwhile does not wait long.
pub const SWAP_CLAIM: Duration = Duration::from_secs(180);

/// The least time until it is looked at again what became of that: clocks of nodes differ.
pub const SWAP_LOOK_MIN: Duration = Duration::from_secs(1);

/// Characters of one message in a transcript: enough to read, not a second database.
pub const TRANSCRIPT_CHARS_MAX: usize = 16 * 1024;

/// How much of the end of each log is looked through at the start for values that were not written
/// down before a kill: longer than they ever wait.
pub const REPLAY_BACK: Duration = Duration::from_secs(30);

/// Events looked through for that, for each tenant. What is older was written down long ago, unless
/// the database was too slow for everything.
pub const REPLAY_EVENTS_MAX: usize = 100_000;

/// How often the evidence of open links is written down, in one commit; more often where silence
/// is noticed sooner.
pub const HEARD_EVERY: Duration = Duration::from_secs(15);

/// Of how many times that it is written down when devices were heard, a link that is open in silence is told of once
/// (`store::Store::path_held`): well within the time after which it is written off.
pub const HELD_EVERY: u32 = 6;

/// Into how many parts the time that a client of MQTT may be quiet is divided, once it was: so soon it is looked again
/// whether it has said anything to what it was asked.
pub const QUIET_LOOKS: u32 = 8;

/// Links of which one write says that they were heard, or are held: the notifications of their tenant wait no longer than
/// for that.
pub const HEARD_AT_ONCE_MAX: usize = 250;

/// How often values that notifications brought are written down: a burst of changes of one device
/// becomes one rewriting of its documents.
pub const VALUES_EVERY: Duration = Duration::from_millis(250);

/// Updates waiting to be written down; links wait beyond that.
pub const RECORDER_INBOX: usize = 4_096;

/// Tries to write something down, with [`RECORD_RETRY`] between, before it is given up. Nothing
/// that was promised to anybody goes this way.
pub const RECORD_TRIES: u32 = 40;

/// Wait between two of [`RECORD_TRIES`].
pub const RECORD_RETRY: Duration = Duration::from_millis(500);

/// How long a notification may wait for a database that does not answer. Then the link is closed,
/// unacknowledged, and the agent keeps it.
pub const COMMIT_TIME_MAX: Duration = Duration::from_secs(20);

/// Wait between two tries to commit a notification.
pub const COMMIT_RETRY: Duration = Duration::from_millis(500);

/// Dial attempts kept for each device, for the doctor.
pub const ATTEMPTS_KEPT: usize = 10;

/// Shortest wait between two dials of one device.
pub const DIAL_WAIT_MIN: Duration = Duration::from_secs(2);

/// How far the wait doubles.
pub const DIAL_WAIT_MAX: Duration = Duration::from_secs(300);

/// A dialled link that held this long was a success: the next wait is the shortest again.
pub const DIAL_STABLE: Duration = Duration::from_secs(60);

/// Devices dialled at the same time: handshakes cost, and a restart dials all of them.
pub const DIALS_AT_ONCE: usize = 64;

/// Time for the links to say goodbye when the server stops.
pub const GOODBYE_TIME_MAX: Duration = Duration::from_secs(8);

/// Time for an agent to announce itself after its link is made (TP-469 allows 30 s).
pub const CONNECT_RECORD_TIME: Duration = Duration::from_secs(30);

/// The longest time between two pings into silence, the default of the standard.
pub const PING_EVERY_MAX: Duration = Duration::from_secs(60);

/// The longest time for a pong.
pub const PONG_TIME_MAX: Duration = Duration::from_secs(20);

/// Devices reached through one broker: as many as one listener holds links.
pub const BROKER_AGENTS_MAX: usize = mtp::limits::CONNECTIONS_MAX;

/// Records of one device behind a broker that wait for its link. An agent sends a handful at once after a start.
pub const BROKER_AGENT_INBOX: usize = 64;

/// Bytes of these; one record of any size that is taken at all always fits.
pub const BROKER_AGENT_BYTES_MAX: usize = 2 * mtp::limits::RECORD_BYTES_MAX;

/// Bytes of all records from one broker that wait for their links, so that many slow ones do not fill memory.
pub const BROKER_INBOX_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The part of these that is kept for tenants of whom nothing waits: the first record of a dozen is taken whatever its
/// size and whatever others send. Of the rest one tenant has no more than what is left: half of it when it is alone.
pub const BROKER_INBOX_KEPT_BYTES: usize = BROKER_INBOX_BYTES_MAX / 4;

/// Records of at most so many bytes are copied when they wait: a small piece would hold all that was read with it.
pub const BROKER_COPY_BYTES_MAX: usize = 4 * 1024;

/// Devices of one tenant that a broker may have registered by its word at once; a roll-out of a hundred thousand still
/// takes hours, and a script at a broker with a wrong rule is noticed before.
pub const BROKER_REGISTRATION_BURST: f64 = 1_000.0;

/// The same in the long run.
pub const BROKER_REGISTRATIONS_PER_SECOND: f64 = 5.0;

/// Devices of one tenant that a broker has had registered by its word and that were never onboarded: names that somebody
/// made up never are. As many as may come at once; those that are looked up at the same time may be more.
pub const BROKER_UNFINISHED_MAX: usize = 1_000;

/// Devices behind one broker that are looked up at the same time. Until there is room no more is read from it.
pub const BROKER_ADMISSIONS_AT_ONCE: usize = 64;

/// Records that wait for one broker to take them; links wait beyond that.
pub const BROKER_OUTBOX: usize = 256;

/// How often a STOMP broker hears us, and is to be heard, while there is nothing else to say.
pub const BROKER_HEART_BEAT: Duration = Duration::from_secs(30);

/// How long nothing is looked up again for a name that was refused. What an operator changes is seen after that.
pub const BROKER_REFUSED_FOR: Duration = Duration::from_secs(30);

/// How often within that time the link of a device may end because nobody is subscribed to its topic; after that it is
/// refused. One that restarts is lost like that once or twice; whoever publishes and never listens costs an admission each time.
pub const BROKER_UNHEARD_MAX: u32 = 4;

/// Refused names that are kept, and those of devices that nobody heard for; with more all are looked up anew.
pub const BROKER_REFUSED_MAX: usize = 10_000;

/// The longest wait before a lost broker is dialled again: behind it are many devices, and it is one dial.
pub const BROKER_WAIT_MAX: Duration = Duration::from_secs(300);

/// A connection to a broker that held this long was a success: the next wait is the shortest again.
pub const BROKER_STABLE: Duration = Duration::from_secs(60);

/// When a question whether a device is there finds no room on the way to its broker, how long it waits for another try;
/// and how long a server that was held up itself waits for an answer that may have come meanwhile.
pub const BROKER_PROBE_AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether a broker can be left when the server stops: whether its links are over.
pub const BROKER_LEAVE_LOOK_EVERY: Duration = Duration::from_millis(20);

/// The pace at which devices known from before are asked for a sign of life after we have connected to their broker:
/// 500 a second, so that what they answer does not come at once.
pub const BROKER_PROBE_EVERY: Duration = Duration::from_millis(2);

/// Devices of one endpoint id, each of another tenant and registered before the one that comes, that are looked at;
/// with more nobody comes in by that name alone.
pub const BROKER_NAMESAKES_MAX: usize = 64;

/// Questions of brokers that are answered at the same time; the others wait. Each is a few reads.
pub const BROKER_ASKS_AT_ONCE: usize = 64;

/// How long a broker waits for an answer; then it is told to ask again (503). Brokers themselves wait from 5 s on.
pub const BROKER_ASK_TIME_MAX: Duration = Duration::from_secs(4);

/// Bytes of one question: some names and one credential.
pub const BROKER_ASK_BYTES_MAX: usize = 64 * 1024;

/// Filters of one question; a client of the broker inside may have as many.
pub const BROKER_TOPICS_MAX: usize = mtp::limits::MQTT_FILTERS_MAX;

/// Queues of RabbitMQ that are remembered of one device, as it asks about them; its oldest is forgotten first. Each
/// subscription over STOMP makes one, and a device has one at a time.
pub const BROKER_QUEUES_OF_DEVICE_MAX: usize = 16;

/// The longest name of such a queue: what RabbitMQ makes has 41 characters, and these are kept.
pub const BROKER_QUEUE_CHARS_MAX: usize = 64;

/// The shortest secret of who may ask: 128 bits and more.
pub const BROKER_SECRET_CHARS_MIN: usize = 32;

/// Paths of USP Services of one device that tell its model from others of its kind. An agent has some
/// dozens at most.
pub const SERVICE_PATHS_MAX: usize = 2_048;
