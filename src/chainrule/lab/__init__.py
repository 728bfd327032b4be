"""The lab: a local web page where one builds, trains and opens up a network.

``chainrule lab`` starts it; needs the extra ``lab``. The page is in ``page``: modules
of JavaScript without a build step, and uPlot. It talks to the server by the messages of
``protocol``; nothing that a page says is evaluated, and a network is what a run file
can say, or that of a file which the command line has named.

- ``server``: the address, and the end; ``doorway``: the file that a browser opens;
  ``app``: the application; ``gate``: who may talk to it; ``hub``: the pages that are
  open, and what each of them is told;
- ``lab``: one network and its pages; ``process``: a training process as the server
  sees it; ``worker``: what runs in it;
  ``state``: what it may be asked next;
- ``settings``: what a page asks for, as a run file; ``choices``: what it may ask for;
- ``models``: networks of ONNX and Python files that the command line has named;
  ``from_file``: a run of one;
- ``watching``: what the page sees of a run; ``maps``: what each unit answers;
  ``points``: weights of the past; ``curves``: losses, as many as a page can show;
- ``steps``: one sample forward and back, equation by equation; ``saliency``: what of
  it the loss depends on; ``sentences``: texts, and typed ones;
- ``exploring``: the book's questions, with what may be set;
- ``uploads``: tables and images that come; ``errands``: what is in them, and what the
  doctor finds;
- ``sharing``: the network as a file; ``texts``: what the page says;
- ``recording``: a run that is recorded; ``archive``: its file format; ``modules``: the
  page's modules as one script; ``site``: the page of a recording, without a server.

A training process imports parts of this package, but none that serve.
"""
