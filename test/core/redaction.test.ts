/**
 * Credentials as people really have them: fifty kinds, each in the places where an agent writes one. They are put
 * together here, so that nobody who looks for secrets in these sources finds one.
 */
import { expect, it } from 'vitest';
import { keptInput, keptPrompt } from '../../src/core/kept-input.ts';

const PATTERN = 'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA';
function R(length: number, of = PATTERN): string {
  return of.repeat(Math.ceil(length / of.length)).slice(0, length);
}

const TOKENS: Readonly<Record<string, string>> = {
  github: `ghp_${R(36)}`,
  github_pat: `github_pat_11ABCDEFG0${R(60)}`,
  gitlab: `glpat-${R(20)}`,
  gitlab_new: `glptt-${R(40)}`,
  gl_runner: `glrt-${R(20)}`,
  aws: 'AKIAIOSFODNN7EXAMPLE',
  aws_secret: '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',
  openai: `sk-proj-${R(48)}`,
  anthropic: `sk-ant-api03-${R(80)}`,
  google: `AIza${R(35)}`,
  gcp_oauth: `ya29.${R(60)}`,
  gocspx: `GOCSPX-${R(28)}`,
  slack: `xoxb-123456789012-1234567890123-${R(24)}`,
  slack_app: `xapp-1-A0123-123-${R(40)}`,
  slack_hook: `https://hooks.slack.com/services/T00000000/B00000000/${R(24)}`,
  discord_hook: `https://discord.com/api/webhooks/123456789012345678/${R(68)}`,
  stripe: `sk_live_${R(24)}`,
  stripe_wh: `whsec_${R(32)}`,
  npm: `npm_${R(36)}`,
  pypi: `pypi-AgEIcHlwaS5vcmc${R(60)}`,
  hf: `hf_${R(34)}`,
  jwt: `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.${R(43)}`,
  sendgrid: `SG.${R(22)}.${R(43)}`,
  twilio: `SK${'0123456789abcdef'.repeat(2)}`,
  telegram: `123456789:AA${R(33)}`,
  digitalocean: `dop_v1_${'0123456789abcdef'.repeat(4)}`,
  doppler: `dp.pt.${R(40)}`,
  vault: `hvs.${R(24)}`,
  linear: `lin_api_${R(40)}`,
  notion: `ntn_${R(46)}`,
  figma: `figd_${R(40)}`,
  shopify: `shpat_${'0123456789abcdef'.repeat(2)}`,
  groq: `gsk_${R(52)}`,
  xai: `xai-${R(80)}`,
  replicate: `r8_${R(37)}`,
  age: `AGE-SECRET-KEY-1${R(58).toUpperCase()}`,
  docker: `dckr_pat_${R(27)}`,
  atlassian: `ATATT3xFfGF0${R(60)}`,
  azure_conn: `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${R(86)}==`,
  pg: `postgres://user:${R(12)}@db/x`,
  mongodb: 'mongodb+srv://u:p%40ss@h',
  fly: `FlyV1 fm2_${R(40)}`,
  supabase: `sbp_${R(40)}`,
  vercel: `vercel_blob_rw_${R(30)}`,
  newrelic: `NRAK-${R(27).toUpperCase()}`,
  postman: `PMAK-${R(24)}-${R(34)}`,
  pulumi: `pul-${R(40)}`,
  rubygems: `rubygems_${R(48)}`,
  hashi: `atlasv1.${R(60)}`,
  planetscale: `pscale_tkn_${R(43)}`,
  tailscale: `tskey-auth-${R(12)}-${R(20)}`,
  openrouter: `sk-or-v1-${R(64)}`,
  perplexity: `pplx-${R(48)}`,
  databricks: `dapi${'0123456789abcdef'.repeat(2)}`,
  cloudflare_origin: `v1.0-${R(24)}-${R(146)}`,
  googleoauthref: `1//0${R(60)}`,
};

/** What must not be left; default: the whole. */
const SECRET_PART: Readonly<Record<string, string>> = {
  azure_conn: R(86),
  pg: R(12),
  mongodb: 'p%40ss',
  slack_hook: R(24),
  discord_hook: R(68),
};

const PLACES: Readonly<Record<string, (token: string) => string>> = {
  argument: (token) => keptInput({ command: `curl -d ${token} https://x` }, 'on'),
  pipe: (token) => keptInput({ command: `echo "${token}" | login` }, 'on'),
  'URL query': (token) => keptInput({ command: `curl 'https://x/y?key=${token}&a=1'` }, 'on'),
  heredoc: (token) => keptInput({ command: `cat > c <<EOF\nVALUE=${token}\nEOF` }, 'on'),
  'JSON in a file': (token) => {
    const content = JSON.stringify({ value: token, deep: { k: token } });
    return keptInput({ file_path: 'a.json', content }, 'on');
  },
  prompt: (token) => keptPrompt(`please use ${token} now`, 'on'),
};

it.each(Object.entries(TOKENS))('nothing of %s is kept, wherever it stands', (name, token) => {
  const secret = SECRET_PART[name] ?? token;
  for (const [place, keep] of Object.entries(PLACES)) {
    const kept = keep(token);
    expect(kept, place).not.toContain(secret.slice(0, 20));
    expect(kept, place).not.toContain(secret.slice(-12));
  }
});

const COMMANDS = [
  'export DB_PASS=hunter2secret',
  'PGPASSWORD=hunter2secret psql',
  'mysql -phunter2secret -u root',
  'MYSQL_PWD=hunter2secret',
  'sshpass -p hunter2secret ssh x',
  'docker login -u me -p hunter2secret',
  'curl -H "X-Auth-Token: hunter2secret"',
  "curl -H 'Api-Key: hunter2secret'",
  'redis-cli -a hunter2secret',
  'SECRET_KEY_BASE=hunter2secret',
  'DATABASE_URL=postgres://u:hunter2secret@h/d',
  'git clone https://hunter2secret@github.com/x',
  'aws configure set aws_secret_access_key hunter2secret',
  'gh auth login --with-token <<< hunter2secret',
  'echo hunter2secret | docker login --password-stdin',
  'kubectl create secret generic s --from-literal=key=hunter2secret',
  'openssl enc -pass pass:hunter2secret',
  '{"pwd":"hunter2secret"}',
  'npm config set //registry.npmjs.org/:_authToken hunter2secret',
  '//registry.npmjs.org/:_authToken=hunter2secret',
  'pass = "hunter2secret"',
  'machine x login y password hunter2secret',
  'client_secret: |\n  hunter2secret',
  '?sig=hunter2secret&se=1',
  'X-Amz-Signature=hunter2secret',
  'htpasswd -b f u hunter2secret',
  'echo "u:hunter2secret" | chpasswd',
  'vault kv put secret/x key=hunter2secret',
  'curl --user u:hunter2secret',
  'wget --password hunter2secret',
  '$env:API_KEY = "hunter2secret"',
  'setx TOKEN hunter2secret',
  'AUTH=hunter2secret',
];

it.each(COMMANDS)('a password of no shape is found by where it stands: %s', (command) => {
  expect(keptInput({ command }, 'on')).not.toContain('hunter2');
});

it.each([
  'git show 3f786850e387550fdab836ed7e6dc881de23001b',
  'cat src/components/authorization-page/compass.ts',
  'make test && echo passed: 12, author: me',
  'ghostsnap show ghost_01M89R7MRWR32GYWNW1PS9252J',
  'npm run build -- --max-tokens=4096',
  'mkdir -p deep/folder && cp -p a b',
  'docker run -p 8080:80 nginx',
])('what is no secret stays: %s', (command) => {
  expect(keptInput({ command }, 'on')).toBe(JSON.stringify({ command }));
});

it('a text made to be slow is not', () => {
  for (const part of [
    'docker login ',
    'htpasswd -b ',
    'aB3-',
    'echo a',
    'pass_',
    'redis-cli -a',
    '_token--secret-',
  ]) {
    // Bounded repetition: the run ends, or the test does by its own time.
    expect(keptInput({ command: part.repeat(8192) }, 'on').length).toBeLessThanOrEqual(1024);
  }
});

it.each(['%', '--%'])('a name is looked at whole, however long it is: %s', (shape) => {
  const long = shape.replace('%', `${'A'.repeat(100)}_SECRET_${'B'.repeat(100)}`);
  expect(keptInput({ command: `run ${long}=hunter2hunter2` }, 'on')).not.toContain('hunter2');
});
