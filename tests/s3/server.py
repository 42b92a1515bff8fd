"""An object store on loopback (moto) that checks the signature of each request, for tests.

usage: server.py ACCESS_KEY SECRET_KEY

The signature is computed anew by botocore, Amazon's own implementation. Requests without one are
answered to loopback clients that say `X-Test: unsigned`, so that a test can look and meddle.
"""

import sys
import urllib.parse

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

ACCESS_KEY, SECRET_KEY = sys.argv[1:]


def expected(request, query):
    """The signature that the request should have."""
    signed = query["X-Amz-SignedHeaders"].split(";")
    rest = [(name, value) for name, value in query.items() if name != "X-Amz-Signature"]
    url = f"http://{request.host}{request.path}?{urllib.parse.urlencode(rest, quote_via=urllib.parse.quote)}"
    headers = {name: request.headers[name] for name in signed}
    copy = AWSRequest(method=request.method, url=url, headers=headers)
    copy.context["timestamp"] = query["X-Amz-Date"]
    _, date, region, service, _ = query["X-Amz-Credential"].split("/")
    auth = S3SigV4QueryAuth(Credentials(ACCESS_KEY, SECRET_KEY), service, region)
    return auth.signature(auth.string_to_sign(copy, auth.canonical_request(copy)), copy)


def checked(application):
    def answer(environ, start_response):
        request = Request(environ)
        query = request.args.to_dict()
        if request.headers.get("X-Test") != "unsigned":
            try:
                good = expected(request, query) == query["X-Amz-Signature"]
            except KeyError:
                good = False
            if not good:
                error = "<Error><Code>SignatureDoesNotMatch</Code></Error>"
                return Response(error, status=403, mimetype="application/xml")(environ, start_response)
        else:
            environ["HTTP_AUTHORIZATION"] = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"
        return application(environ, start_response)

    return answer


server = make_server("127.0.0.1", 0, checked(DomainDispatcherApplication(create_backend_app)), threaded=True)
print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
