/**
 * The long-lived stream of frames as a route: `POST /v1/frames` over HTTP/2.
 *
 * Who has no principal gets no stream; what each frame asks for is judged frame by frame, by the same rule
 * and the same host as requests. The body is never read as a body: it is the questions.
 */
import type http2 from 'node:http2';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GhostsnapError } from '../../core/errors.ts';
import { answerFrames } from '../frames/answer-frames.ts';
import { serveFrames } from '../frames/serve-frames.ts';
import type { Principal } from '../principal.ts';
import { PLAIN_ROUTES, ruleOf } from '../routes.ts';
import type { ApiServerOptions } from './api-server.ts';
import { StreamPlaces } from './stream-places.ts';

const FRAMES_TYPE = 'application/x-ndjson';
const RULE = ruleOf(PLAIN_ROUTES.frames);

/** Streams of frames that are open at once; each may have as many frames under way as SPEC says. */
const FRAME_STREAMS = { of: 'frames', max: 1024, ofTenantMax: 512 } as const;

export function addFrames(
  app: FastifyInstance,
  options: ApiServerOptions,
  principalOf: (request: FastifyRequest) => Principal | null,
): void {
  const places = new StreamPlaces(FRAME_STREAMS);
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const principal = principalOf(request);
    const stream = streamOf(request, reply);
    using _place = places.take(principal?.tenant ?? '');
    reply.hijack();
    stream.respond({ ':status': 200, 'content-type': FRAMES_TYPE });
    await serveFrames(stream, framesFor(options, principal, request));
    return reply;
  };
  // A scope of its own: no other route takes such a body.
  app.register(async (scope) => {
    scope.addContentTypeParser(FRAMES_TYPE, async () => undefined);
    const { method, path: url } = PLAIN_ROUTES.frames;
    scope.route({ method, url, config: { rule: RULE }, handler });
  });
}

function framesFor(
  options: ApiServerOptions,
  principal: Principal | null,
  request: FastifyRequest,
): ReturnType<typeof answerFrames> {
  const { host, telemetry, answers, stopping, onDefect } = options;
  return answerFrames({
    ...{ host, principal, telemetry, answers, stopping, onDefect },
    onRefusal: (operation, error) =>
      options.onRefusal({ principal, operation, error, request: request.raw }),
  });
}

/** @throws GhostsnapError BAD_ARGUMENT over HTTP/1.1, or when these are no frames */
function streamOf(request: FastifyRequest, reply: FastifyReply): http2.ServerHttp2Stream {
  if (request.raw.httpVersionMajor !== 2 || request.headers['content-type'] !== FRAMES_TYPE) {
    throw new GhostsnapError('BAD_ARGUMENT', `Frames come over HTTP/2 as ${FRAMES_TYPE}.`, {
      hint: 'Open the stream on the network listener, or send single requests.',
    });
  }
  return (reply.raw as unknown as http2.Http2ServerResponse).stream;
}
