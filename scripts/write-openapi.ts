/** Writes openapi.json from the routes and schemas: `npm run openapi` after a change of the wire. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiText } from '../src/api/openapi.ts';
import { serviceConfigText } from '../src/daemon/service-config.ts';

const ROOT = join(import.meta.dirname, '..');

writeFileSync(join(ROOT, 'openapi.json'), openApiText());
writeFileSync(join(ROOT, 'schema', 'service.schema.json'), serviceConfigText());
