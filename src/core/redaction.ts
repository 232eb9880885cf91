/**
 * Taking secrets out of what is kept of tool inputs and prompts.
 *
 * The log of tool calls is read by people, exported and backed up; what looks like a credential is
 * replaced by a mark before anything is stored. The rules know keys (`password`, `authorization`, ...),
 * well-known token shapes, URL credentials and assignments. They are a net, not a proof: a secret
 * without any shape or name passes. Every pattern is linear in the text's length, and redacting twice
 * changes nothing more.
 */

/** Stands where a secret was. */
export const REDACTED = '[redacted]';

/** Parts of names, lower case and without separators, whose values are secret. */
const SECRET_NAMES = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'token',
  'apikey',
  'accesskey',
  'privatekey',
  'signingkey',
  'encryptionkey',
  'authorization',
  'credential',
  'cookie',
  'bearer',
] as const;

/** Names that hold one of the words and are harmless: limits and counts of a model's tokens. */
const HARMLESS_NAME =
  /^(?:(?:max|min|num|total|input|output|prompt|new)tokens?|tokens)(?:count|limit|used)?$/;
const HARMLESS_VALUE = /^\d{0,9}$/;

/** True when the value of a field of this name is not to be kept. */
export function isSecretName(name: string): boolean {
  const plain = name.replace(/[^A-Za-z0-9]/g, '').toLowerCase();
  return SECRET_NAMES.some((word) => plain.includes(word));
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

const NAME = '[A-Za-z0-9_.-]{0,64}';
const WORDS = [
  'pass(?:word|wd|phrase)',
  'secret',
  'token',
  '(?:api|access|private|signing|encryption)[_-]?key',
  'credentials?',
  'authorization',
  'cookie',
].join('|');
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
  // --password value, --token=value
  {
    pattern: new RegExp(
      `(--${NAME}(?:${WORDS})${NAME})([ =]{1,4})(?!-)${NOT_YET}(?:${QUOTED}|[^\\s"']+)`,
      'gi',
    ),
    isHarmless: isHarmlessMatch,
    replacement: `$1$2${REDACTED}`,
  },
  // NAME=value, name: value, "name": "value"
  {
    pattern: new RegExp(
      `(?<![A-Za-z0-9])(${NAME}(?:${WORDS})${NAME})(\\\\?["']?\\s{0,4}[:=]\\s{0,4})` +
        `${NOT_YET}(?:\\\\"(?:[^"\\\\\\n])*(?:\\\\")?|${QUOTED}|[^\\s"',;)}\\]]+)`,
      'gi',
    ),
    isHarmless: isHarmlessMatch,
    replacement: `$1$2${REDACTED}`,
  },
  // Tokens that are known by their shape.
  {
    pattern: new RegExp(
      [
        '\\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{12,}',
        '\\bgh[pousr]_[A-Za-z0-9]{16,}',
        '\\bgithub_pat_[A-Za-z0-9_]{16,}',
        '\\bglpat-[A-Za-z0-9_-]{16,}',
        '\\bnpm_[A-Za-z0-9]{24,}',
        '\\bpypi-[A-Za-z0-9_-]{16,}',
        '\\bxox[a-z]-[A-Za-z0-9-]{8,}',
        '\\b[srp]k_(?:live|test)_[A-Za-z0-9]{8,}',
        '\\bsk-[A-Za-z0-9_-]{12,}',
        '\\bAIza[A-Za-z0-9_-]{20,}',
        '\\bhf_[A-Za-z0-9]{16,}',
        '\\beyJ[A-Za-z0-9_-]{12,}(?:\\.[A-Za-z0-9_-]*){0,4}',
      ].join('|'),
      'g',
    ),
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
  return redacted;
}

function isHarmlessMatch(match: string, name: string, between: string): boolean {
  return isHarmlessField(name, match.slice(name.length + between.length));
}

const ENV_FILE = /(?:^|[\s/\\'"=>])\.env(?:\.[A-Za-z0-9_.-]{1,32}|rc)?(?=$|[\s'"`;|&)])/;

/** True when the text names a `.env` file: then every assignment beside it is taken for a secret. */
export function namesEnvFile(text: string): boolean {
  return ENV_FILE.test(text);
}

const ASSIGNMENT =
  /(^|[\s'"`;])((?:export\s{1,4})?[A-Za-z_][A-Za-z0-9_]{0,64}=)(?!\[redacted\])(?:"[^"\n]*"?|'[^'\n]*'?|[^\s'"`;]+)/g;

/** The value of every `NAME=value`, whatever the name. */
export function redactAssignments(text: string): string {
  return text.replace(ASSIGNMENT, `$1$2${REDACTED}`);
}
