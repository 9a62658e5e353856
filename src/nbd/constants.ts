/**
 * Numbers of the NBD protocol, spelled as the protocol document spells them, and the limits that
 * this server puts on a peer. Error numbers live in export-backend.ts, the port.
 * Source: NBD protocol doc/proto.md.
 */

/** 'NBDMAGIC', the first eight bytes a server sends, as two u32. */
export const INIT_PASSWD = [0x4e42444d, 0x41474943] as const;
/** 'IHAVEOPT', the second eight bytes, and the start of every option. */
export const OPTS_MAGIC = [0x49484156, 0x454f5054] as const;
/** The start of every option reply. */
export const REP_MAGIC = [0x0003e889, 0x045565a9] as const;
export const NBD_REQUEST_MAGIC = 0x25609513;
export const NBD_SIMPLE_REPLY_MAGIC = 0x67446698;
export const NBD_STRUCTURED_REPLY_MAGIC = 0x668e33ef;

/** Handshake flags of the server; the client's flags have the same bits. */
export const NBD_FLAG_FIXED_NEWSTYLE = 1 << 0;
export const NBD_FLAG_NO_ZEROES = 1 << 1;

export const NBD_FLAG_HAS_FLAGS = 1 << 0;
export const NBD_FLAG_READ_ONLY = 1 << 1;
export const NBD_FLAG_SEND_FLUSH = 1 << 2;
export const NBD_FLAG_SEND_FUA = 1 << 3;
export const NBD_FLAG_SEND_TRIM = 1 << 5;
export const NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6;
export const NBD_FLAG_SEND_DF = 1 << 7;
export const NBD_FLAG_CAN_MULTI_CONN = 1 << 8;
export const NBD_FLAG_SEND_CACHE = 1 << 10;
export const NBD_FLAG_SEND_FAST_ZERO = 1 << 11;

export const NBD_OPT_EXPORT_NAME = 1;
export const NBD_OPT_ABORT = 2;
export const NBD_OPT_LIST = 3;
export const NBD_OPT_STARTTLS = 5;
export const NBD_OPT_INFO = 6;
export const NBD_OPT_GO = 7;
export const NBD_OPT_STRUCTURED_REPLY = 8;
export const NBD_OPT_LIST_META_CONTEXT = 9;
export const NBD_OPT_SET_META_CONTEXT = 10;

export const NBD_REP_ACK = 1;
export const NBD_REP_SERVER = 2;
export const NBD_REP_INFO = 3;
export const NBD_REP_META_CONTEXT = 4;
export const NBD_REP_ERR_UNSUP = 0x8000_0001;
export const NBD_REP_ERR_POLICY = 0x8000_0002;
export const NBD_REP_ERR_INVALID = 0x8000_0003;
export const NBD_REP_ERR_TLS_REQD = 0x8000_0005;
export const NBD_REP_ERR_UNKNOWN = 0x8000_0006;
export const NBD_REP_ERR_SHUTDOWN = 0x8000_0007;
export const NBD_REP_ERR_TOO_BIG = 0x8000_0009;

export const NBD_INFO_EXPORT = 0;
export const NBD_INFO_NAME = 1;
export const NBD_INFO_DESCRIPTION = 2;
export const NBD_INFO_BLOCK_SIZE = 3;

export const NBD_CMD_READ = 0;
export const NBD_CMD_WRITE = 1;
export const NBD_CMD_DISC = 2;
export const NBD_CMD_FLUSH = 3;
export const NBD_CMD_TRIM = 4;
export const NBD_CMD_CACHE = 5;
export const NBD_CMD_WRITE_ZEROES = 6;
export const NBD_CMD_BLOCK_STATUS = 7;

export const NBD_CMD_FLAG_FUA = 1 << 0;
export const NBD_CMD_FLAG_NO_HOLE = 1 << 1;
export const NBD_CMD_FLAG_DF = 1 << 2;
export const NBD_CMD_FLAG_REQ_ONE = 1 << 3;
export const NBD_CMD_FLAG_FAST_ZERO = 1 << 4;

export const NBD_REPLY_FLAG_DONE = 1 << 0;
export const NBD_REPLY_TYPE_NONE = 0;
export const NBD_REPLY_TYPE_OFFSET_DATA = 1;
export const NBD_REPLY_TYPE_OFFSET_HOLE = 2;
export const NBD_REPLY_TYPE_BLOCK_STATUS = 5;
export const NBD_REPLY_TYPE_ERROR = 0x8001;
export const NBD_REPLY_TYPE_ERROR_OFFSET = 0x8002;

/** Chunk types with this bit are errors, also those not known here. */
export const NBD_REPLY_TYPE_ERROR_BIT = 1 << 15;

/** Flags of `base:allocation`. */
export const NBD_STATE_HOLE = 1 << 0;
export const NBD_STATE_ZERO = 1 << 1;
/** Flag of `satsuma:dirty`: the write-intent bit of the extent is set. Source: docs/nbd.md. */
export const SATSUMA_STATE_DIRTY = 1 << 0;

/** Lengths of fixed messages in bytes. */
export const GREETING_BYTES = 18;
export const CLIENT_FLAGS_BYTES = 4;
export const OPTION_HEADER_BYTES = 16;
export const OPTION_REPLY_HEADER_BYTES = 20;
export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const STRUCTURED_REPLY_BYTES = 20;
/** A structured reply's header with the offset that data chunks begin with. */
export const DATA_CHUNK_HEAD_BYTES = STRUCTURED_REPLY_BYTES + 8;
/** Zeroes after the answer to EXPORT_NAME, unless NO_ZEROES was agreed. */
export const EXPORT_NAME_PADDING_BYTES = 124;

/** "MUST be no longer than 4096 bytes": export names, descriptions, queries, messages. */
export const STRING_MAX_BYTES = 4096;
/** The longest option that is read; the largest useful one holds a name and sixteen queries. */
export const OPTION_MAX_BYTES = 64 * 1024;
/** A longer option is skipped and answered with ERR_TOO_BIG; past this the peer is hostile. */
export const OPTION_SKIP_MAX_BYTES = 1024 * 1024;
/** Options one peer may send in a handshake; real clients send fewer than ten. */
export const OPTIONS_MAX = 64;
/** Metadata context queries in one option; this server has two contexts. */
export const QUERIES_MAX = 16;
/** Exports told by one LIST; more are left out, so that one small option has a bounded answer. */
export const LIST_MAX_ENTRIES = 4096;
/**
 * The largest payload of a read or write. A write up to this length is consumed and answered
 * whatever is wrong with it; a longer one ends the connection.
 * Source: doc/proto.md, "Block size constraints": 2^25 is what every client may rely on.
 */
export const PAYLOAD_MAX_BYTES = 32 * 1024 * 1024;
/** Extents in one answer to BLOCK_STATUS, per context. */
export const EXTENTS_MAX = 1024;
