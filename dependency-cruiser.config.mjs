/**
 * Which way the parts depend on each other. core knows nobody; the interfaces know core; the engine
 * knows core and the interfaces; adapters know core and their own interface, never each other; only the
 * daemon and the command line construct things.
 */
const adapters = ['btrfs', 'store'];

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'A circle has no first part: split the file, or move the shared concept down.',
      severity: 'error',
      from: {},
      to: {
        circular: true,
        viaOnly: { dependencyTypesNot: ['type-only', 'dynamic-import'] },
      },
    },
    {
      name: 'core-is-pure',
      comment: 'core imports nothing but core: hand values in instead.',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { pathNot: '^src/core/' },
    },
    {
      name: 'backend-knows-core-only',
      comment: 'Backends know core and backend/: the engine calls them, not the other way.',
      severity: 'error',
      from: { path: '^src/backend/' },
      to: { path: '^src/', pathNot: '^src/(core|backend)/' },
    },
    ...adapters.map((name) => ({
      name: `backend-${name}-stands-alone`,
      comment: 'Backends never know each other: what both need belongs in src/backend/.',
      severity: 'error',
      from: { path: `^src/backend/${name}/` },
      to: { path: '^src/backend/[^/]+/', pathNot: `^src/backend/${name}/` },
    })),
    {
      name: 'backend-interface-knows-no-backend',
      comment: 'The shared parts of src/backend/ must work for every backend; only the probe tells them apart.',
      severity: 'error',
      from: { path: '^src/backend/[^/]+\\.ts$', pathNot: '^src/backend/probe\\.ts$' },
      to: { path: '^src/backend/[^/]+/' },
    },
    {
      name: 'engine-knows-interfaces-only',
      comment: 'The engine gets its adapters through ports.ts and backend.ts; daemon/ hands them in.',
      severity: 'error',
      from: { path: '^src/engine/' },
      to: { path: '^src/', pathNot: '^src/(core|engine)/|^src/backend/backend\\.ts$' },
    },
    {
      name: 'adapters-stand-alone',
      comment: 'The catalog, locks, pool and telemetry never know each other or a backend of their own accord.',
      severity: 'error',
      from: { path: '^src/(catalog|locks|pool|telemetry)/' },
      to: {
        path: '^src/',
        pathNot: '^src/core/|^src/engine/ports\\.ts$|^src/backend/[^/]+\\.ts$|^src/$1/',
      },
    },
    {
      name: 'sidecar-stands-apart',
      comment: 'What the sidecar loads runs on its own thread only: it is started by its script, never imported.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/telemetry/sidecar(/|-worker\\.ts$)' },
      to: { path: '^src/telemetry/sidecar/|node_modules/(@opentelemetry|prom-client)/' },
    },
    {
      name: 'agent-knows-the-workspace-only',
      comment: 'What agents talk to gets a Workspace handed in; how it came about is not its business.',
      severity: 'error',
      from: { path: '^src/agent/' },
      to: {
        path: '^src/',
        pathNot: '^src/(core|agent)/|^src/api/door/|^src/engine/(workspace-api|results|call-results|ports)\\.ts$|^src/backend/backend\\.ts$',
      },
    },
    {
      name: 'engine-knows-no-agent',
      comment: 'Agents are users of the engine, like the command line.',
      severity: 'error',
      from: { path: '^src/(core|backend|engine|catalog|locks|pool|telemetry)/' },
      to: { path: '^src/agent/' },
    },
    {
      name: 'harnesses-stand-alone',
      comment: 'A harness knows its own format and the shapes that several share, not another harness.',
      severity: 'error',
      from: { path: '^src/agent/harness/' },
      to: {
        path: '^src/agent/',
        pathNot:
          '^src/agent/harness/(harness|claude-shape|event-meaning|payload-fields)\\.ts$|^src/agent/hook-action\\.ts$',
      },
    },
    {
      name: 'principal-knows-nobody',
      comment: 'Who asks is a plain value: every part of the service may know it, it knows none.',
      severity: 'error',
      from: { path: '^src/api/principal\\.ts$' },
      to: { path: '^src/' },
    },
    {
      name: 'door-knows-core-only',
      comment: 'What looks at bytes before anybody believes them must not know what they are for.',
      severity: 'error',
      from: { path: '^src/api/door/' },
      to: { path: '^src/', pathNot: '^src/core/|^src/api/door/' },
    },
    {
      name: 'access-and-tls-stand-alone',
      comment: 'Who may what, and how connections are made, is decided without a route or an engine.',
      severity: 'error',
      from: { path: '^src/api/(access|tls)/' },
      to: { path: '^src/', pathNot: '^src/core/|^src/api/door/|^src/api/$1/|^src/api/principal\\.ts$' },
    },
    {
      name: 'wire-schemas-know-core-only',
      comment: 'The wire is shared with clients: whatever a schema imports, they carry.',
      severity: 'error',
      from: { path: '^src/api/schema/' },
      to: { path: '^src/', pathNot: '^src/(core|api/schema)/' },
    },
    {
      name: 'service-knows-engine-and-wire',
      comment: 'What the service does knows the engine and the shapes of the wire, not how they travel.',
      severity: 'error',
      from: { path: '^src/service/' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(core|service|engine|api/schema)/|^src/api/(principal|routes|access/authorize)\\.ts$|^src/backend/backend\\.ts$',
      },
    },
    {
      name: 'api-knows-the-host-only',
      comment: 'The edge asks the service; it never reaches past it to an engine.',
      severity: 'error',
      from: { path: '^src/api/' },
      to: {
        path: '^src/',
        pathNot: '^src/(core|api)/|^src/service/(host|call-context)\\.ts$|^src/engine/ports\\.ts$',
      },
    },
    {
      name: 'engine-knows-no-service',
      comment: 'The service is a user of the engine, like the command line.',
      severity: 'error',
      from: { path: '^src/(core|backend|engine|catalog|locks|pool|agent)/' },
      to: { path: '^src/(service|api)/', pathNot: '^src/api/door/' },
    },
    {
      name: 'client-carries-the-wire-only',
      comment: 'Who imports ghostsnap/client gets the wire and Node: no library, nothing native.',
      severity: 'error',
      from: { path: '^src/api/client/' },
      to: {
        path: '^src/',
        pathNot: '^src/(core|api/schema|api/client)/|^src/api/routes\\.ts$',
      },
    },
    {
      name: 'client-needs-no-library',
      comment: 'Types of zod are looked at, zod is not loaded: the service has checked what it sends.',
      severity: 'error',
      from: { path: '^src/api/(client/|routes\\.ts$)' },
      to: {
        dependencyTypes: ['npm'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'only-daemon-and-cli-construct',
      comment: 'daemon/ is known by the command line and by the public entry point only.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(daemon|cli)/|^src/index\\.ts$' },
      to: { path: '^src/(daemon|cli)/' },
    },
    {
      name: 'daemon-knows-no-cli',
      comment: 'The command line is one user of the daemon among several.',
      severity: 'error',
      from: { path: '^src/(daemon/|index\\.ts)' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'checker-stands-alone',
      comment: 'The independent checker shares no code with what it checks.',
      severity: 'error',
      from: { path: '^test/checker/' },
      to: { path: '^src/' },
    },
    {
      name: 'no-tests-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-dev-dependencies-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
