//! Every limit of a conversation with a CPE, with its reason.

use std::time::Duration;

/// Parameters in one GetParameterValues until a device shows that this is too much for it. Larger
/// answers than some 20 KiB gain nothing.
pub const READ_BATCH: usize = 128;

/// Parameters in one SetParameterValues of those that are written piece by piece. What is all or
/// nothing is tried at once, however much it is.
pub const WRITE_BATCH: usize = 64;

/// A session that broke off, or an internal error, says little of the size of a request that was
/// this small: then one of its names may be the reason.
pub const BATCH_BLAMED_MIN: usize = 8;

/// Sessions that break over a name, alone or among few, before a model is never asked for it again.
/// Twice may be an accident.
pub const OFFENCES_MAX: u8 = 3;

/// Names that are held for the reason of broken sessions, of one model. Devices with more of them
/// are asked in other ways already.
pub const OFFENDERS_MAX: usize = 64;

/// How long a model is asked more carefully after a session that broke off. In a large fleet some
/// do by accident, and one that mends its firmware keeps its version seldom; the price of another
/// try is a few sessions of one device.
pub const BREAK_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Names of one device's tree. See [`dm::limits::MAPPING_PATHS_MAX`].
pub const TREE_NAMES_MAX: usize = dm::limits::MAPPING_PATHS_MAX;

/// Names of a tree up to which it is mapped to TR-181, or made a model of, on the spot: some three
/// microseconds each. Larger ones, which take up to half a second, would hold up other sessions.
pub const MAPPED_NAMES_MAX: usize = 2_000;

/// Bytes of a kept tree up to which it is read on the spot: of some thousand names.
pub const UNPACKED_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one name: the standard's 256, and room for those who do not keep to it.
pub const NAME_BYTES_MAX: usize = fleet::limits::PATH_BYTES_MAX;

/// Requests of a tree that is walked level by level. Large gateways have some 2,000 objects.
pub const WALK_REQUESTS_MAX: usize = 4_000;

/// How long after it began the listing of a tree is gone on with in later sessions. After that it is too
/// old to be true.
pub const WALK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Parts of a tree that could not be listed, kept by name; more would say the same.
pub const GAPS_MAX: usize = 64;

/// Tables that one read lists anew to find the rows that came and went. A search over more is
/// answered by what is known.
pub const TABLES_LISTED_MAX: usize = 64;

/// Rounds of looking up what a search path needs: each reference followed is one.
pub const SEARCH_ROUNDS_MAX: usize = 8;

/// Bytes of the names of one device's tree, which is taken apart in each session that needs it. The
/// largest trees in the field have some 30,000 names of 80 bytes.
pub const TREE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Levels of a name: the deepest of the standard have some 15. Each is a name of its own in a tree.
pub const NAME_LEVELS_MAX: usize = 32;

/// Bytes of the names and values of one read, with which a whole large gateway has room. A device
/// may send 16 MiB at a time, and many may do it at once.
pub const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Values of one answer to a Get: big gateways have some 10,000.
pub const VALUES_MAX: usize = 30_000;

/// Changes that one Inform reports of which the log hears each by itself. All are remembered.
pub const CHANGES_TOLD_MAX: usize = 256;

/// Commands that a device works on, of which we wait for the end. A CPE keeps three transfers or
/// some more. It is asked for no more until one of these has come to its end, or is given up; starts
/// have a place of their own.
pub const PENDING_MAX: usize = 32;

/// How long the end of a command may take before nobody waits for it: a download in the night of
/// the next day, a ChangeDUState, which may take 24 hours.
pub const PENDING_LIFE: Duration = Duration::from_secs(48 * 3600);

/// How long a command whose answer was lost may still turn out to run, where the device cannot be
/// asked: the time that others give a download.
pub const UNSURE_LIFE: Duration = Duration::from_secs(3600);

/// Bytes of the subscriptions of one device, with the names of what they are about: some hundreds,
/// and small beside what is remembered of a device in all.
pub const SUBSCRIPTIONS_BYTES_MAX: usize = 128 * 1024;

/// Parameters below an object that is subscribed as a whole. All may change between two Informs, and
/// an Inform has room for [`cwmp::limits::INFORM_PARAMETERS_MAX`].
pub const SUBSCRIBED_BELOW_MAX: usize = 1000;

/// Times in which one download may run, by the standard.
pub const TIME_WINDOWS_MAX: usize = 2;

/// Methods that a device says it has, of which the result of a command tells.
pub const METHODS_SHOWN_MAX: usize = 256;

/// Parameters whose attributes are asked at once, and told in the result of a command.
pub const ATTRIBUTES_ASKED_MAX: usize = 256;

/// Parameters whose changes a device refuses to report, of those that it is told at once, before it
/// is not asked for more of them: each takes a question of its own.
pub const WATCH_REFUSED_MAX: usize = 64;

/// The same where it is told not to report them any more. Most that are refused are not there any more,
/// and one that is left out goes on reporting: so many take half a minute with a device far away.
pub const SILENCE_REFUSED_MAX: usize = 512;

/// How long a device that refused a credential of its own is not told one again, unless it runs
/// another firmware or was reset: what it has said is not going to change by itself.
pub const CREDENTIAL_AGAIN: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the same wish for a download is a repetition: a CPE that has not heard our answer tries a
/// session again within seconds, and some minutes later after some tries.
pub const WISH_LIFE: Duration = Duration::from_secs(5 * 60);

/// Wishes for downloads of one device that are remembered for that: there are some kinds of files.
pub const WISHES_MAX: usize = 8;

/// Steps that a device did not take, kept for people.
pub const NOTES_MAX: usize = 20;

/// How long a conversation that another session of its device has replaced may take to note what
/// the break has taught. Its questions fail at once by then; the rest is a write to the store.
pub const LAST_LESSON_TIME_MAX: Duration = Duration::from_secs(2);

/// Entries of the transcript of one job that are held until they are written: as many as are kept.
pub const RECORD_ENTRIES_MAX: usize = store::limits::TRANSCRIPT_ENTRIES_MAX as usize;

/// Sessions in which a device may fail to get known before it is given time. What a broken session
/// teaches needs some of them.
pub const ONBOARD_TRIES: u32 = 12;

/// How long after that a device that cannot be got to know is left in peace, the first time; twice as
/// long after each time that follows.
pub const ONBOARD_PAUSE_MIN: Duration = Duration::from_secs(3600);

/// And at the most: its owner may have mended it by the next day.
pub const ONBOARD_PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Bytes of an Inform's parameters that are kept until the device can be asked for what belongs to
/// them, for thousands of sessions at once. These are flags, names and addresses: hundreds of them.
pub const PARTS_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one file of quirk packs: some thousand of them.
pub const PACK_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Characters of each text in a quirk pack that is for people: it is kept with every device it fits.
pub const PACK_TEXT_CHARS_MAX: usize = 500;

/// Sources that a quirk pack may name.
pub const PACK_SOURCES_MAX: usize = 8;

/// Quirk packs that are shown of one device. One for its maker, one for its model, and exceptions.
pub const PACKS_SHOWN_MAX: usize = 8;

/// The part of its interval by which a device may be late before it counts as silent.
pub const LATE_PART: u32 = 10;

/// How much later a device may come in any case. The first repetition of an Inform follows within
/// some ten seconds, and a session may take as long.
pub const LATE_MIN: Duration = Duration::from_secs(30);
