# A client that OpenAPI::Client (Debian: libopenapi-client-perl) makes of openapi.json, with one tool call, its
# damage and the way back. It knows nothing of ghostsnap but what that file says.
#
#   perl generated-client.pl OPENAPI_JSON SOCKET TEMPLATE
#
# One line of JSON a step; ends with 1 and the reason when a step went otherwise than the file says.
use strict;
use warnings;
use Mojo::File qw(path);
use Mojo::JSON qw(encode_json);
use Mojo::Util qw(url_escape);
use OpenAPI::Client;

my ($file, $socket, $template) = @ARGV;
my $client = OpenAPI::Client->new("file://$file");
$client->base_url->parse('http+unix://' . url_escape($socket));
$| = 1;

my $keys = 0;
sub key { return ('Idempotency-Key' => "perl-$$-" . ++$keys) }

sub step {
  my ($name, $tx) = @_;
  my $answer = $tx->res->json;
  print encode_json({step => $name, status => $tx->res->code, answer => $answer}), "\n";
  return $answer;
}

my $workspace = step(create => $client->createWorkspace({key()}, json => {template => $template}));
my $in = {workspace => $workspace->{workspace}};
my $tool = {session => 's', harness => 'perl', tool => 'Bash', key => 'k1'};
my $call = step(begin => $client->beginCall({%$in, key()}, json => $tool));
my $before = $call->{snapshot};
path("$workspace->{path}/src/a.txt")->remove;
$in->{call} = $call->{call};
step(end => $client->endCall({%$in, key()}, json => {outcome => 'ok'}));
step(diff => $client->diff({%$in, from => $before, to => 'live'}));
step(rollback => $client->rollback({%$in, key()}, json => {target => $before}));
step(unknown => $client->getCall({%$in, call => 'call_0' . '1' x 25}));
step(refused => $client->beginCall({%$in, key()}, json => {session => 's', harness => 'perl', key => 'k2'}));
step(delete => $client->deleteWorkspace({%$in, key()}));
