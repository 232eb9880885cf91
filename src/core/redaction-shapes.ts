/**
 * Tokens that are known by their shape, and commands that are handed a secret at a known place.
 *
 * Makers of tokens give them a beginning of their own so that they are found where they should not be; each line
 * has the length that a real one has at least. Every pattern is linear: what may repeat is bounded.
 */

/** Alternatives of one pattern. */
export const TOKEN_SHAPES: readonly string[] = [
  // Clouds and their consoles.
  '\\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA)[A-Z0-9]{12,}',
  '\\bAIza[A-Za-z0-9_-]{20,}',
  '\\bya29\\.[A-Za-z0-9_-]{20,}',
  '\\bGOCSPX-[A-Za-z0-9_-]{16,}',
  '(?<![\\w/])1//0[A-Za-z0-9_-]{24,}',
  '\\bdo[por]_v1_[a-f0-9]{32,}',
  '\\bdapi[a-f0-9]{32}\\b',
  '\\bsbp_[A-Za-z0-9]{24,}',
  '\\bvercel_[a-z_]{0,16}[A-Za-z0-9]{20,}',
  '\\bfm[12]_[A-Za-z0-9+/=_-]{24,}',
  '\\bv1\\.0-[A-Za-z0-9]{16,}-[A-Za-z0-9]{64,}',
  '\\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{24,}',
  '\\btskey-[a-z]{2,16}-[A-Za-z0-9-]{16,}',
  '\\bNRAK-[A-Z0-9a-z]{20,}',
  '\\bhvs\\.[A-Za-z0-9_-]{20,}',
  '\\batlasv1\\.[A-Za-z0-9_-]{40,}',
  '\\bpul-[A-Za-z0-9]{32,}',
  '\\bdp\\.(?:pt|st|ct|sa|scim|audit)\\.[A-Za-z0-9]{24,}',
  // Code, packages, tickets.
  '\\bgh[pousr]_[A-Za-z0-9]{16,}',
  '\\bgithub_pat_[A-Za-z0-9_]{16,}',
  '\\bgl(?:pat|ptt|rt|dt|cbt|imt|ft|soat|agent|oas)-[A-Za-z0-9_.-]{16,}',
  '\\bnpm_[A-Za-z0-9]{24,}',
  '\\bpypi-[A-Za-z0-9_-]{16,}',
  '\\brubygems_[A-Za-z0-9]{24,}',
  '\\bdckr_pat_[A-Za-z0-9_-]{20,}',
  '\\bATATT[A-Za-z0-9_=-]{24,}',
  '\\blin_(?:api|oauth)_[A-Za-z0-9]{24,}',
  '\\b(?:ntn|figd)_[A-Za-z0-9_-]{24,}',
  '\\bPMAK-[A-Za-z0-9]{16,}-[A-Za-z0-9]{24,}',
  // Models.
  '\\bsk-[A-Za-z0-9_-]{12,}',
  '\\bhf_[A-Za-z0-9]{16,}',
  '\\bgsk_[A-Za-z0-9]{24,}',
  '\\bxai-[A-Za-z0-9]{24,}',
  '\\bpplx-[A-Za-z0-9]{24,}',
  '\\br8_[A-Za-z0-9]{24,}',
  // Messages and money.
  '\\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{8,}',
  '(?<=hooks\\.slack\\.com/services/)[A-Za-z0-9/]{16,}',
  '(?<=discord(?:app)?\\.com/api/webhooks/)[A-Za-z0-9/_-]{16,}',
  '\\bSG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}',
  '\\bSK[a-f0-9]{32}\\b',
  '\\b\\d{8,10}:AA[A-Za-z0-9_-]{32,}',
  '\\b[srp]k_(?:live|test)_[A-Za-z0-9]{8,}',
  '\\bwhsec_[A-Za-z0-9+/=]{16,}',
  '\\bshp(?:at|ca|pa|ss)_[a-f0-9A-F]{24,}',
  // Of no maker.
  '\\bAGE-SECRET-KEY-1[A-Z0-9]{24,}',
  '\\beyJ[A-Za-z0-9_-]{12,}(?:\\.[A-Za-z0-9_-]*){0,4}',
];

/** Long, and a mixture that no name has. */
export const RANDOM_LOOKING = /(?<![\w+/.-])[A-Za-z0-9_+-]{36,}={0,2}(?![\w/.-])/g;

const MIXED_MIN = 5;

/** As a cloud's secret key: exactly this long, with characters that paths have as well. */
export const RANDOM_FORTY = /(?<![\w+/.-])[A-Za-z0-9/+]{40}(?![\w+/=.-])/g;

/** Ids of ours are shorter; hashes have one case, identifiers few digits. */
export function isRandomLooking(text: string): boolean {
  return [/\d/g, /[A-Z]/g, /[a-z]/g].every((kind) => (text.match(kind)?.length ?? 0) >= MIXED_MIN);
}

const REST = '[^\\n|;&]{0,80}?';
/** Twice in one pattern it would be a product: what belongs to the next one is left to that. */
const OWN_REST = '(?:(?!htpasswd)[^\\n|;&]){0,80}?';
const VALUE = `(?:"[^"\\n]{1,512}"?|'[^'\\n]{1,512}'?|[^\\s"']{1,512})`;

/** `(what stands before)(the secret)`: the second group goes. */
export const COMMAND_SECRETS: readonly RegExp[] = [
  new RegExp(`(\\bsshpass${REST}\\s-p\\s{0,4})(${VALUE})`, 'g'),
  new RegExp(`(\\bmysql(?:dump|admin|import)?\\b${REST}\\s-p)(${VALUE})`, 'g'),
  new RegExp(`(\\b(?:docker|podman|helm)\\s${REST}\\blogin\\b${REST}\\s-p\\s{1,4})(${VALUE})`, 'g'),
  new RegExp(`(\\bredis-cli\\b${REST}\\s-a\\s{1,4})(${VALUE})`, 'g'),
  new RegExp(
    `(\\bhtpasswd\\b${OWN_REST}\\s-[A-Za-z]{0,8}b[A-Za-z]{0,8}\\s${OWN_REST}\\s)(\\S{1,512})(?=\\s{0,4}(?:$|[|;&\\n]))`,
    'g',
  ),
  /(\s-pass(?:in|out|wd)?\s{1,4}pass:)(\S{1,512})/g,
  /(\blogin\s{1,4}\S{1,128}\s{1,4}password\s{1,4})(\S{1,512})/g,
  // What is piped or fed into somebody who reads a secret.
  new RegExp(
    '(\\b(?:echo|printf)\\s{1,4})([^\\n|]{1,512})' +
      '(?=\\|[^\\n|]{0,200}(?:--password-stdin|--with-token|passwd\\b|sudo\\s{1,4}-S))',
    'g',
  ),
  new RegExp(
    `((?:--password-stdin|--with-token|chpasswd|passwd)\\b[^\\n|;]{0,64}<<<\\s{0,4})(${VALUE})`,
    'g',
  ),
];
