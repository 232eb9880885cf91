/**
 * Taking secrets out of what is kept of tool inputs and prompts.
 *
 * The log of tool calls is read by people, exported and backed up; what looks like a credential is
 * replaced by a mark before anything is stored. The rules know keys (`password`, `authorization`, ...),
 * well-known token shapes, URL credentials and assignments. They are a net, not a proof: a secret
 * without any shape or name passes. Every pattern is linear in the text's length, and redacting twice
 * changes nothing more.
 */

import {
  COMMAND_SECRETS,
  isRandomLooking,
  RANDOM_FORTY,
  RANDOM_LOOKING,
  TOKEN_SHAPES,
} from './redaction-shapes.ts';

/** Stands where a secret was. */
export const REDACTED = '[redacted]';

/** Parts of names, lower case and without separators, whose values are secret. */
const SECRET_NAMES = [
  'password',
  'passwd',
  'pwd',
  'passphrase',
  'secret',
  'token',
  'apikey',
  'accesskey',
  'accountkey',
  'privatekey',
  'signingkey',
  'encryptionkey',
  'authorization',
  'credential',
  'cookie',
  'bearer',
] as const;

/** Words too short to be looked for within others: `compass`, `author`. */
const SHORT_NAME = /(?:^|[_.-])(?:pass|auth|sig|signature)$/i;

/** Names that hold one of the words and are harmless: limits and counts of a model's tokens. */
const HARMLESS_NAME =
  /^(?:(?:max|min|num|total|input|output|prompt|new)tokens?|tokens)(?:count|limit|used)?$/;
const HARMLESS_VALUE = /^\d{0,9}$/;

/** True when the value of a field of this name is not to be kept. */
export function isSecretName(name: string): boolean {
  const plain = name.replace(/[^A-Za-z0-9]/g, '').toLowerCase();
  return SECRET_NAMES.some((word) => plain.includes(word)) || SHORT_NAME.test(name);
}

/** A limit such as `max_tokens: 4096` is no secret. */
export function isHarmlessField(name: string, value: unknown): boolean {
  const plain = name.replace(/[^A-Za-z0-9]/g, '').toLowerCase();
  if (typeof value === 'boolean' || value === null) return true;
  const isText = typeof value === 'string';
  const isNumber = typeof value === 'number' || (isText && HARMLESS_VALUE.test(value));
  return isNumber && HARMLESS_NAME.test(plain);
}

interface Rule {
  readonly pattern: RegExp;
  readonly replacement: string;
  /** Sees the whole match, the name and what stands between it and the value. */
  readonly isHarmless?: (match: string, name: string, between: string) => boolean;
}

/** Not redacted again: the end of the mark would be taken for the end of the value. */
const NOT_YET = '(?!\\s{0,4}["\']?\\[redacted\\])';

/** A name is looked at once, from its beginning: each further place to begin at would read it again. */
const NAME_START = '(?<![A-Za-z0-9_.-])';
const NAME = '[A-Za-z0-9_.-]{0,64}';
const WORDS = [
  'pass(?:word|wd|phrase)',
  'pwd',
  'secret',
  'token',
  '(?:api|access|account|private|signing|encryption)[_-]?key',
  'credentials?',
  'authorization',
  'cookie',
].join('|');
/** A whole name that holds one of the words. */
const SECRET_NAME = `(?=[A-Za-z0-9_.-]*?(?:${WORDS}))[A-Za-z0-9_.-]+`;
const QUOTED = `"[^"\\n]*"?|'[^'\\n]*'?`;

/** In order: what covers more comes first. */
const RULES: readonly Rule[] = [
  {
    pattern:
      /-----BEGIN [A-Z ]{0,32}KEY-----(?:(?!-----END )[\s\S])*(?:-----END [A-Z ]{0,32}-----)?/g,
    replacement: REDACTED,
  },
  // scheme://user:password@host, scheme://token@host
  {
    pattern: /\b([A-Za-z][A-Za-z0-9+.-]{0,20}:\/\/)[^\s/@'"<>]{1,512}@/g,
    replacement: `$1${REDACTED}@`,
  },
  // An HTTP header takes the rest of its line or quotation.
  {
    pattern: new RegExp(
      `\\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)` +
        `(["']?\\s{0,4}[:=]\\s{0,4}["']?)${NOT_YET}[^\\n"']+`,
      'gi',
    ),
    replacement: `$1$2${REDACTED}`,
  },
  {
    pattern: /\b(bearer|basic)(\s{1,4})(?!\[redacted\])[A-Za-z0-9._~+/=-]{8,}/gi,
    replacement: `$1$2${REDACTED}`,
  },
  // curl -u name:password
  {
    pattern:
      /(^|\s)(-u|--user)([ =]{1,4})(?:"[^"\n]{1,256}"|'[^'\n]{1,256}'|[^\s:'"]{1,128}:\S{1,256})/g,
    replacement: `$1$2$3${REDACTED}`,
  },
  ...COMMAND_SECRETS.map((pattern) => ({ pattern, replacement: `$1${REDACTED}` })),
  // A name and its value as two words: setx TOKEN value, npm config set //host/:_authToken value
  {
    pattern: new RegExp(
      `(\\b(?:setx|config(?:ure)?\\s{1,4}set)\\s{1,4}\\S{0,128}(?:${WORDS})\\S{0,64}\\s{1,4})` +
        `${NOT_YET}(?:${QUOTED}|[^\\s"']+)`,
      'gi',
    ),
    replacement: `$1${REDACTED}`,
  },
  // A block of YAML below its name.
  {
    pattern: new RegExp(
      `((?:${WORDS})${NAME}["']?\\s{0,4}:[ \\t]{0,4}[|>][+-]?[ \\t]{0,4}\\n[ \\t]{0,32})${NOT_YET}[^\\n]+`,
      'gi',
    ),
    replacement: `$1${REDACTED}`,
  },
  // DB_PASS=value, ?sig=value
  {
    pattern: new RegExp(
      `${NAME_START}((?:[A-Za-z0-9_.-]*[_.-])?(?:pass|auth|sig|signature)["']?\\s{0,4}[:=]\\s{0,4}["']?)` +
        `${NOT_YET}[^\\s"',;)}\\]&]{6,}`,
      'gi',
    ),
    replacement: `$1${REDACTED}`,
  },
  // --password value, --token=value
  {
    pattern: new RegExp(
      `${NAME_START}(--${SECRET_NAME})([ =]{1,4})(?!-)${NOT_YET}(?:${QUOTED}|[^\\s"']+)`,
      'gi',
    ),
    isHarmless: isHarmlessMatch,
    replacement: `$1$2${REDACTED}`,
  },
  // NAME=value, name: value, "name": "value"
  {
    pattern: new RegExp(
      `${NAME_START}(${SECRET_NAME})(\\\\?["']?\\s{0,4}[:=]\\s{0,4})` +
        `${NOT_YET}(?:\\\\"(?:[^"\\\\\\n])*(?:\\\\")?|${QUOTED}|[^\\s"',;)}\\]]+)`,
      'gi',
    ),
    isHarmless: isHarmlessMatch,
    replacement: `$1$2${REDACTED}`,
  },
  // Tokens that are known by their shape.
  {
    pattern: new RegExp(TOKEN_SHAPES.join('|'), 'g'),
    replacement: REDACTED,
  },
];

/** `text` without what looks like a credential. */
export function redactText(text: string): string {
  let redacted = text;
  for (const { pattern, replacement, isHarmless } of RULES) {
    redacted =
      isHarmless === undefined
        ? redacted.replace(pattern, replacement)
        : redacted.replace(pattern, (match: string, name: string, between: string) =>
            isHarmless(match, name, between) ? match : `${name}${between}${REDACTED}`,
          );
  }
  for (const shape of [RANDOM_LOOKING, RANDOM_FORTY]) {
    redacted = redacted.replace(shape, (match) => (isRandomLooking(match) ? REDACTED : match));
  }
  return redacted;
}

function isHarmlessMatch(match: string, name: string, between: string): boolean {
  return isHarmlessField(name, match.slice(name.length + between.length));
}

/** What takes secrets as assignments. */
const SECRET_STORE =
  /\b(?:create\s{1,4}secret|vault\s{1,4}(?:kv\s{1,4}put|write)|(?:gh|fly)\s{1,4}secrets?)\b/;

const ENV_FILE = /(?:^|[\s/\\'"=>])\.env(?:\.[A-Za-z0-9_.-]{1,32}|rc)?(?=$|[\s'"`;|&)])/;

/** True when the text names a `.env` file or a store of secrets: then every assignment beside it is taken for one. */
export function namesEnvFile(text: string): boolean {
  return ENV_FILE.test(text) || SECRET_STORE.test(text);
}

const ASSIGNMENT =
  /(^|[\s'"`;=])((?:export\s{1,4})?[A-Za-z_][A-Za-z0-9_]{0,64}=)(?!\[redacted\])(?:"[^"\n]*"?|'[^'\n]*'?|[^\s'"`;]+)/g;

/** The value of every `NAME=value`, whatever the name. */
export function redactAssignments(text: string): string {
  return text.replace(ASSIGNMENT, `$1$2${REDACTED}`);
}
